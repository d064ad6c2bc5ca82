/** Takes an executor for as long as body runs: on agents with the label RAILYARD_AGENT, or on any. */
Object call(Closure body) {
    node(env.RAILYARD_AGENT ?: '') {
        return body()
    }
}
