package harness

import hudson.AbortException

/** The steps that need an executor: processes and files. A public method here is a step. */
class NodeSteps {
    protected final Build build

    NodeSteps(Build build) { this.build = build }

    /** Named arguments of a step; any other is a mistake that Jenkins would refuse too. */
    protected static Map named(String step, Map args, List<String> known) {
        def unknown = args.keySet()*.toString() - known
        if (unknown) {
            throw new IllegalArgumentException("step $step: unknown parameter(s) ${unknown.join(', ')}; it has ${known.join(', ')}")
        }
        args.collectEntries { k, v -> [k.toString(), v instanceof GString ? v.toString() : v] }
    }

    protected void say(String step) { build.log("[Pipeline] $step\n") }

    def node(Closure body) { node('', body) }

    def node(String label, Closure body) {
        def branch = build.branch
        def outerSpace = branch.workspace
        def outerDir = branch.dir
        def space = null
        def taken = build.once('node') { String id ->
            say('node')
            space = take(id, label)
            build.log('[Pipeline] {\n')
            [path: space.path, env: space.env, id: id]
        } as Map
        space = space ?: new Workspace(path: taken.path, env: taken.env as Map, id: taken.id)
        branch.workspace = space
        branch.dir = null
        try {
            body.call()
        } finally {
            branch.workspace = outerSpace
            branch.dir = outerDir
            if (space.held) {
                build.send('release', [id: space.id])
            }
        }
    }

    protected Workspace take(String id, String label) {
        def given = build.ask('node', [id: id, label: label]) as Map
        new Workspace(path: given.path, env: given.env as Map, id: id, held: true)
    }

    /** The directory a step works in. An executor that was lost by a restart is taken again here. */
    protected String here(String step) {
        def branch = build.branch
        if (branch.workspace == null) {
            throw new AbortException("Required context class hudson.FilePath is missing\n" +
                "Perhaps you forgot to surround the $step step with a step that provides this, such as: node")
        }
        if (!branch.workspace.held) {
            def again = take(branch.workspace.id, '')
            branch.workspace.held = true
            branch.workspace.path = again.path
            branch.workspace.env = again.env
        }
        branch.dir ? new File(branch.workspace.path, branch.dir).canonicalPath : branch.workspace.path
    }

    def dir(String path, Closure body) {
        def branch = build.branch
        def outer = branch.dir
        branch.dir = outer ? "$outer/$path".toString() : path
        try {
            body.call()
        } finally {
            branch.dir = outer
        }
    }

    def pwd(Map args = [:]) { here('pwd') + (args.tmp ? '@tmp' : '') }

    def sh(String script) { sh([script: script]) }

    def sh(Map args) {
        def a = named('sh', args, ['script', 'returnStdout', 'returnStatus', 'label', 'encoding'])
        def done = build.once('sh') { String id ->
            say("sh${a.label ? " ($a.label)" : ''}")
            def dir = here('sh')
            new File(dir).mkdirs()
            build.ask('sh', [id: id, script: a.script, dir: dir, env: build.env.environment, stdout: a.returnStdout == true, stage: build.branch.stage, label: a.label ?: ''])
        } as Map
        if (a.returnStatus) {
            return done.code
        }
        if (done.code != 0) {
            throw new AbortException("script returned exit code $done.code")
        }
        a.returnStdout ? done.stdout : null
    }

    def isUnix() { true }

    def readFile(String file) { readFile([file: file]) }

    def readFile(Map args) {
        def a = named('readFile', args, ['file', 'encoding'])
        build.once('readFile') {
            def file = file('readFile', a.file)
            if (!file.file) {
                throw new AbortException("$file does not exist")
            }
            file.getText('UTF-8')
        }
    }

    def writeFile(Map args) {
        def a = named('writeFile', args, ['file', 'text', 'encoding'])
        build.once('writeFile') {
            def file = file('writeFile', a.file)
            file.parentFile.mkdirs()
            file.setText("${a.text}", 'UTF-8')
            null
        }
    }

    def fileExists(String file) { build.once('fileExists') { this.file('fileExists', file).exists() } }

    def fileExists(Map args) { fileExists(named('fileExists', args, ['file']).file as String) }

    def deleteDir() { build.once('deleteDir') { new File(here('deleteDir')).deleteDir(); null } }

    protected File file(String step, Object path) {
        def file = new File("$path")
        file.absolute ? file : new File(here(step), "$path")
    }

    def libraryResource(String path) { build.resource(path) }

    def libraryResource(Map args) { build.resource(named('libraryResource', args, ['resource', 'encoding']).resource as String) }

    def checkout(Object scm) {
        build.once('checkout') { build.ask('checkout', [dir: here('checkout')]) }
    }

    def archiveArtifacts(Object args) {
        def patterns = args instanceof Map ? named('archiveArtifacts', args,
            ['artifacts', 'allowEmptyArchive', 'fingerprint', 'onlyIfSuccessful', 'excludes', 'followSymlinks', 'defaultExcludes', 'caseSensitive']).artifacts : args
        build.once('archiveArtifacts') {
            build.log("[Pipeline] archiveArtifacts\nArchiving artifacts\n")
            def found = matching(patterns as String)
            if (!found && !(args instanceof Map && args.allowEmptyArchive)) {
                throw new AbortException("No artifacts found that match the file pattern \"$patterns\". Configuration error?")
            }
            null
        }
    }

    def junit(Object args) {
        def a = args instanceof Map ? named('junit', args, ['testResults', 'allowEmptyResults', 'skipPublishingChecks', 'keepLongStdio']) : [testResults: args]
        def counts = build.once('junit') {
            build.log("[Pipeline] junit\nRecording test results\n")
            def suites = matching(a.testResults as String).collect { new XmlSlurper().parse(it) }
            if (!suites && !a.allowEmptyResults) {
                throw new AbortException('No test report files were found. Configuration error?')
            }
            def cases = suites.collectMany { s -> s.depthFirst().findAll { it.name() == 'testcase' } }
            [totalCount: cases.size(), failCount: cases.count { c -> c.children().any { it.name() in ['failure', 'error'] } }]
        } as Map
        if (counts.failCount) {
            build.currentBuild.setResult('UNSTABLE')
            build.steps.stages.unstable()
        }
        counts
    }

    /** The files below the working directory that match comma-separated Ant patterns. */
    protected List<File> matching(String patterns) {
        def root = new File(here('archiveArtifacts')).toPath()
        def matchers = patterns.split(',').collect { root.fileSystem.getPathMatcher("glob:${it.trim()}") }
        def found = []
        root.toFile().eachFileRecurse(groovy.io.FileType.FILES) { f ->
            def path = root.relativize(f.toPath())
            if (matchers.any { it.matches(path) || it.matches(java.nio.file.Paths.get('.').resolve(path).normalize()) }) {
                found << f
            }
        }
        found
    }
}
