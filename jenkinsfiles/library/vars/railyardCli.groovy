/*
 * Runs the railyard command. It needs an executor around it, whose agent has railyard on its PATH; RAILYARD_URL comes from
 * the controller's global properties. The token is a "Secret text" credential, which reaches the command in its environment
 * and nothing else: commands stand in single quotes, so that the shell and not Groovy puts values in.
 */

/** Runs `railyard ARGUMENTS` and returns its exit code. */
int call(String arguments) {
    return withToken { sh(script: 'railyard ' + arguments, returnStatus: true, label: 'railyard ' + arguments.tokenize(' ')[0]) } as int
}

/** Runs `railyard ARGUMENTS` and returns what it prints. */
String output(String arguments) {
    return withToken { sh(script: 'railyard ' + arguments, returnStdout: true, label: 'railyard ' + arguments.tokenize(' ')[0]) } as String
}

private Object withToken(Closure body) {
    withCredentials([string(credentialsId: env.RAILYARD_CREDENTIAL ?: 'railyard-token', variable: 'RAILYARD_TOKEN')]) {
        return body()
    }
}
