package harness

/** `env`: what the build's processes see, and what assignments add to it. */
class EnvVars implements Serializable {
    private final Build build
    private final Map<String, String> vars

    EnvVars(Build build, Map<String, String> vars) {
        this.@build = build
        this.@vars = Collections.synchronizedMap(new TreeMap<String, String>(vars))
    }

    /** null when there is none. */
    String get(String name) {
        def branch = this.@build.branch
        branch?.env?.get(name) ?: branch?.workspace?.env?.get(name) ?: this.@vars[name]
    }

    void set(String name, Object value) {
        if (value == null) {
            this.@vars.remove(name)
        } else {
            this.@vars[name] = "$value".toString()
        }
    }

    /** All of them, as a process gets them. Those of blocks around it win. */
    Map<String, String> getEnvironment() {
        def branch = this.@build.branch
        this.@vars + (branch.workspace?.env ?: [:]) + branch.env
    }

    def getProperty(String name) { name == 'environment' ? getEnvironment() : get(name) }

    void setProperty(String name, Object value) { set(name, value) }

    String getAt(String name) { get(name) }

    void putAt(String name, Object value) { set(name, value) }
}

/** `currentBuild`. */
class CurrentBuild implements Serializable {
    private final Build build
    private Result worst
    private String text
    private String name

    CurrentBuild(Build build) {
        this.build = build
        worst = build.order.result ? Result.of(build.order.result) : null
        text = build.order.description
        name = build.order.displayName
    }

    Result resultOrNull() { worst }

    String getResult() { worst?.name() }

    String getCurrentResult() { (worst ?: Result.SUCCESS).name() }

    void setResult(Object result) {
        worst = Result.worse(worst, Result.of(result))
        build.once('result') { build.send('set', [result: worst.name()]); null }
    }

    String getDescription() { text }

    void setDescription(Object description) {
        text = description == null ? null : "$description".toString()
        build.once('description') { build.send('set', [description: text ?: '']); null }
    }

    String getDisplayName() { name }

    void setDisplayName(Object displayName) {
        name = "$displayName".toString()
        build.once('displayName') { build.send('set', [displayName: name]); null }
    }

    int getNumber() { build.order.number as int }

    String getId() { "$number".toString() }

    String getFullProjectName() { build.order.job }

    String getProjectName() { (build.order.job as String).tokenize('/').last() }

    String getFullDisplayName() { "${(build.order.job as String).replace('/', ' » ')} $name" }

    String getAbsoluteUrl() { build.env.get('BUILD_URL') }

    boolean resultIsBetterOrEqualTo(String other) { Result.of(currentResult) <= Result.of(other) }

    boolean resultIsWorseOrEqualTo(String other) { Result.of(currentResult) >= Result.of(other) }

    /** Who or what started it, as the remote API tells; of one kind when a class is given. */
    List<Map> getBuildCauses(String type = null) {
        ((build.order.causes ?: []) as List<Map>).findAll { type == null || it._class == type || (it._class as String).endsWith(".$type".toString()) }
    }
}
