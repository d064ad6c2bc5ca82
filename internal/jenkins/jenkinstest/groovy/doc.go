// Package groovy executes Pipelines for the stand-in of Jenkins: Jenkinsfiles
// and shared libraries run under Groovy 2.4, the version inside Jenkins, with
// Jenkins' declarative syntax and scripted steps.
//
// An Engine is one Java process for all builds of a stand-in, since Java and
// Groovy take a second to start. The program in it (host/, embedded here and
// compiled once per version into the user's cache directory) runs each build's
// script on a thread of its own, and knows what a script means: sections, blocks,
// results, exceptions. Whatever touches the world it asks of this package, and
// this package of the stand-in: executors, processes, inputs, secrets, stages. They
// speak in lines of JSON; protocol.go names them all.
//
// # Restarts
//
// Jenkins saves a running script and goes on with it. Groovy's own threads cannot
// be saved, so the host keeps a journal of the steps that a build has completed and
// runs the script once more from its beginning: a step that the journal knows gives
// what it gave before, and is not done again. What a script computes between its
// steps is computed anew, so a script that takes another way the second time (a
// random number, the time of day) fails, and says so.
//
// # Where it is not Jenkins
//
// Scripts are not transformed to continuation-passing style, so variables that
// Jenkins could not save work here: the lint step looks for those. A step in a
// closure that Groovy itself calls (sort, unique) fails as in Jenkins. There is no
// sandbox. Statics of a library's classes live as long as the engine. Agents are the
// stand-in's own node, whatever the label. Sections that read the build before
// (changed, fixed, regression), tools, matrix, stash and lock are not there, and a
// script that uses them is told so. What stands outside of script { } in steps { } is
// not checked to be steps only. The journal holds what steps returned, also where that
// is a secret: it is a file of a test.
package groovy
