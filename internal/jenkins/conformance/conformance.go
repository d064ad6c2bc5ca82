// Package conformance holds what the client expects of a Jenkins controller, as
// tests that run against any: by default the stand-in, and with flags a real one.
//
//	go test ./internal/jenkins/conformance -jenkins-url https://ci.example.org/jenkins -jenkins-user U -jenkins-token T -jenkins-git G
//
// Each case is named after a statement of the Jenkins HTTP contract. The cases
// work in a folder of their own, which they remove. They need the plugins named
// in docs/jenkins-contract.md, four free executors on an agent with a POSIX shell,
// and a user with the permissions Job/Create, Configure, Delete, Build, Cancel,
// Read and Run/Update, View/Create, Configure, Delete, and with an API token.
package conformance
