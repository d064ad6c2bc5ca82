// Package jenkins is the client of one Jenkins controller.
//
// Reads with types and the creation of jobs go through gojenkins; trigger, stop,
// cancel, description, inputs, views and log are small requests of our own, because gojenkins
// follows the redirects that Jenkins answers actions with and so loses the
// outcome. Both use one transport, which adds credentials and crumb, bounds
// bodies and turns everything that is not a success into a typed error, so that
// an error page is never taken for an answer.
//
// A build is known by its deployment id, a parameter (DeploymentParam) that is
// unique per build. Trigger never repeats itself: after any error the caller
// asks Find whether Jenkins has the deployment before it triggers again.
// Jenkins may restart, lose its queue and answer 503 meanwhile; none of that is
// ever reported as a build's end. Of two builds of a deployment, the one that did
// not end NOT_BUILT counts.
//
// Poll follows all builds of a controller with three requests (cover.go). What we
// rely on in Jenkins is in docs/jenkins-contract.md, and shown by package
// conformance on any controller; package provision writes jobs and views.
package jenkins
