package conformance

// The Pipelines of the cases. The stand-in runs them under the Groovy that is in
// Jenkins.
const (
	// staged has a stage that is done, and a result before its end.
	staged = `stage('Compile') {
  node { sh 'echo compiling' }
}
stage('Check') {
  unstable('a check failed')
  input id: 'go', message: 'Go on?'
}
`
	// asking puts what it is answered into its description.
	asking = `def a = input id: 'deploy', message: 'Deploy?', parameters: [
  choice(name: 'WHERE', choices: ['fat', 'uat']), booleanParam(name: 'SURE', defaultValue: true)]
currentBuild.description = a == null ? 'nothing' : a instanceof Map ? "WHERE=${a['WHERE']} SURE=${a['SURE']}" : "only ${a}"
`
	failing = "error('it went wrong')\n"

	sleeping = "sleep 600\n"

	// declaring has no parameters until it has run once.
	declaring = "properties([parameters([string(name: 'REF', defaultValue: 'main')])])\n"

	// superseding waits in its first build until a newer one passes the milestone.
	superseding = `milestone 1
if (env.BUILD_NUMBER == '1') { input id: 'go', message: 'Go on?' }
milestone 2
`
)
