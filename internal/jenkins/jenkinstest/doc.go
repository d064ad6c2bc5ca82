// Package jenkinstest is a stand-in for a Jenkins controller: an HTTP server
// that answers as Jenkins does, runs freestyle jobs as real processes, and
// Pipelines with the Engine it is given.
//
// It has three layers. A Server speaks HTTP: paths, users, crumbs, status codes
// and pages. Behind it is a controller: items (folders and jobs), the queue,
// the executors and the builds, saved under Options.Dir. A runner per kind of
// job does the work of a build: that of Pipelines keeps what can be seen of them
// (stages, inputs, scripts that run) and asks the Engine what comes next. Restart drops the controller, as the death of
// the Java process would, and loads a new one from disk.
//
// What it answers follows the Jenkins HTTP contract this project works from,
// read off the sources of core 2.452. Where a client could be misled by Jenkins
// it is misled here too: redirects after actions, HTML errors, a queue item
// that has left without a build for a moment, a log that outlives the build.
package jenkinstest
