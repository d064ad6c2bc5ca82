package harness

import hudson.AbortException
import org.jenkinsci.plugins.workflow.steps.FlowInterruptedException

/** The scripted steps. A public method here is a step. */
class Steps extends NodeSteps {
    private static final HIDDEN = ['has', 'names', 'invoke', 'named', 'binding', 'inside', 'parameter', 'getStages'] as Set
    private static final NAMES = (Steps.declaredMethods + NodeSteps.declaredMethods).findAll { java.lang.reflect.Modifier.isPublic(it.modifiers) && !it.synthetic }*.name
        .findAll { !(it in HIDDEN) && !it.contains('$') && !(it in Object.methods*.name) && !(it in GroovyObject.methods*.name) }
        .collect { it == 'sleepFor' ? 'sleep' : it } as TreeSet // Groovy has a sleep of its own on every object

    Steps(Build build) { super(build) }

    boolean has(String name) { name in NAMES }

    Set<String> names() { NAMES }

    Object invoke(String name, Object[] args) {
        def plain = args.collect { it instanceof GString ? it.toString() : it } as Object[]
        try {
            metaClass.invokeMethod(this, name == 'sleep' ? 'sleepFor' : name, plain)
        } catch (MissingMethodException e) {
            if (e.type == Steps && e.method == name) {
                throw new IllegalArgumentException("step $name: expected other parameters than ${plain.collect { it?.getClass()?.simpleName }}")
            }
            throw e
        }
    }

    // --- words and results -----------------------------------------------------

    def echo(Map args) { echo(named('echo', args, ['message']).message) }

    def echo(Object message) {
        build.once('echo') {
            say('echo')
            build.log("$message\n")
            null
        }
    }

    def error(Map args) { error(named('error', args, ['message']).message) }

    def error(Object message = '') {
        build.once('error') { say('error'); null }
        throw new AbortException("$message")
    }

    def unstable(Map args) { unstable(named('unstable', args, ['message']).message) }

    def unstable(Object message) {
        if (!message) {
            throw new IllegalArgumentException('step unstable: a non-empty message is required')
        }
        build.once('unstable') {
            say('unstable')
            build.log("WARNING: $message\n")
            null
        }
        build.currentBuild.setResult('UNSTABLE')
        build.steps.stages.unstable()
    }

    final Stages stages = new Stages()

    /** Marks of the stages that are open, by branch. */
    class Stages {
        private final Map<String, Result> marks = Collections.synchronizedMap([:])

        void unstable() { mark(Result.UNSTABLE) }

        void mark(Result result) {
            def id = build.branch.stage
            marks[id] = Result.worse(marks[id], result)
        }

        Result of(String id) { marks[id] }
    }

    def catchError(Closure body) { catchError([:], body) }

    def catchError(Map args, Closure body) {
        def a = named('catchError', args, ['message', 'buildResult', 'stageResult', 'catchInterruptions'])
        try {
            body.call()
        } catch (Suspended e) {
            throw e
        } catch (Throwable failure) {
            def why = Build.cause(failure)
            if (why instanceof Suspended || why instanceof FlowInterruptedException && a.catchInterruptions == false) {
                throw why
            }
            def result = why instanceof FlowInterruptedException ? why.result : Result.FAILURE
            build.once('catchError') {
                if (a.message) {
                    build.log("$a.message\n")
                }
                build.tell(why)
                null
            }
            def buildResult = a.buildResult == null ? result : Result.of(a.buildResult)
            if (buildResult != Result.SUCCESS) {
                build.currentBuild.setResult(buildResult.name())
            }
            stages.mark(a.stageResult ? Result.of(a.stageResult) : Result.SUCCESS)
        }
        null
    }

    def warnError(String message, Closure body) {
        catchError([message: message, buildResult: 'UNSTABLE', stageResult: 'UNSTABLE'], body)
    }

    // --- blocks ----------------------------------------------------------------

    def script(Closure body) { body.call() }

    def stage(Map args, Closure body) { stage(named('stage', args, ['name', 'concurrency']).name, body) }

    def stage(String name, Closure body) {
        def branch = build.branch
        def outer = branch.stage
        def id = build.once('stage') { String step ->
            build.log("[Pipeline] stage\n[Pipeline] { ($name)\n")
            build.send('stage', [id: step, name: name])
            step
        }
        branch.stage = id
        def problem = null
        try {
            return body.call()
        } catch (Throwable failure) {
            problem = Build.cause(failure)
            throw problem
        } finally {
            branch.stage = outer
            if (!(problem instanceof Suspended)) {
                def result = Result.worse(problem == null ? null : Build.resultOf(problem), stages.of(id))
                build.once('stageEnd') {
                    build.send('stageEnd', [id: id, name: name, result: (result ?: Result.SUCCESS).name(), error: problem?.message])
                    build.log("[Pipeline] }\n[Pipeline] // stage\n")
                    null
                }
            }
        }
    }

    def withEnv(List pairs, Closure body) {
        def vars = [:]
        for (pair in pairs) {
            def text = "$pair".toString()
            def at = text.indexOf('=')
            if (at < 1) {
                throw new IllegalArgumentException("step withEnv: '$text' is not NAME=value")
            }
            vars[text.substring(0, at)] = text.substring(at + 1)
        }
        inside(vars, body)
    }

    /** Runs body with further environment variables. */
    Object inside(Map vars, Closure body) {
        def branch = build.branch
        def outer = branch.env
        branch.env = outer + vars
        try {
            body.call()
        } finally {
            branch.env = outer
        }
    }

    def withCredentials(List bindings, Closure body) {
        def vars = [:]
        bindings.each { vars.putAll(binding(it as Map)) }
        build.once('withCredentials') {
            build.log("[Pipeline] withCredentials\nMasking supported pattern matches of ${vars.keySet().collect { '$' + it }.join(' or ')}\n")
            null
        }
        inside(vars, body)
    }

    /** The variables of one binding of withCredentials. The stand-in masks the secret in the console. */
    Map binding(Map b) {
        def secret = build.ask('credential', [id: b.credentialsId]) as Map
        switch (b['$kind']) {
            case 'string': return [(b.variable): secret.secret]
            case 'usernamePassword': return [(b.usernameVariable): secret.user, (b.passwordVariable): secret.secret]
            case 'usernameColonPassword': return [(b.variable): "$secret.user:$secret.secret".toString()]
        }
        throw new IllegalArgumentException("step withCredentials: unknown binding $b")
    }

    def retry(Map args, Closure body) { retry(named('retry', args, ['count', 'conditions']).count as int, body) }

    def retry(int count, Closure body) {
        for (int attempt = 1; ; attempt++) {
            try {
                return body.call()
            } catch (Throwable failure) {
                def why = Build.cause(failure)
                if (why instanceof Suspended || why instanceof FlowInterruptedException || attempt >= count) {
                    throw why
                }
                build.once('retry') {
                    build.tell(why)
                    build.log('Retrying\n')
                    null
                }
            }
        }
    }

    def timeout(int minutes, Closure body) { timeout([time: minutes], body) }

    def timeout(Map args, Closure body) {
        def a = named('timeout', args, ['time', 'unit', 'activity'])
        def millis = java.util.concurrent.TimeUnit.valueOf("${a.unit ?: 'MINUTES'}").toMillis(a.time as long)
        // The deadline is absolute: time that Jenkins was down counts.
        def deadline = build.once('timeout') {
            build.log("[Pipeline] timeout\nTimeout set to expire in ${millis < 60000 ? "${millis.intdiv(1000)} sec" : "${millis.intdiv(60000)} min"}\n")
            System.currentTimeMillis() + millis
        } as long
        def branch = build.branch
        def why = new FlowInterruptedException(Result.ABORTED, [new CauseOfInterruption(shortDescription: 'Timeout has been exceeded')])
        def timer = new Timer('timeout', true)
        timer.schedule({
            build.log('Cancelling nested steps due to timeout\n')
            branch.interrupt(why)
        } as TimerTask, Math.max(0, deadline - System.currentTimeMillis()))
        try {
            body.call()
        } finally {
            timer.cancel()
        }
    }

    def parallel(Map branches) {
        def failFast = branches.failFast == true
        def failures = Collections.synchronizedList([])
        def outer = build.branch
        def forks = branches.findAll { k, v -> v instanceof Closure }.collectEntries { k, v -> [k, outer.fork("$k")] }
        def threads = forks.collect { name, fork ->
            Thread.startDaemon("build $build.key $name") {
                try {
                    build.on(fork) { stage("Branch: $name".toString(), branches[name] as Closure) }
                } catch (Throwable failure) {
                    failures << Build.cause(failure)
                    if (failFast) {
                        forks.values().findAll { !it.is(fork) }.each {
                            it.interrupt(new FlowInterruptedException(Result.ABORTED, [new CauseOfInterruption(shortDescription: "Failed in branch $name")]))
                        }
                    }
                }
            }
        }
        threads*.join()
        outer.joined()
        def suspended = failures.find { it instanceof Suspended }
        if (suspended || failures) {
            throw suspended ?: failures.first()
        }
        null
    }

    // --- time and people ---------------------------------------------------------

    def sleepFor(Object time) { sleepFor([time: time]) }

    def sleepFor(Map args) {
        def a = named('sleep', args, ['time', 'unit'])
        def millis = java.util.concurrent.TimeUnit.valueOf("${a.unit ?: 'SECONDS'}").toMillis(a.time as long)
        def id = build.once('sleepUntil') { System.currentTimeMillis() + millis } as long
        build.once('sleep') { build.branch.pause(Math.max(0, id - System.currentTimeMillis())); null }
    }

    def input(String message) { input([message: message]) }

    def input(Map args) {
        def a = named('input', args, ['id', 'message', 'ok', 'cancel', 'submitter', 'submitterParameter', 'parameters'])
        if (!a.message) {
            throw new IllegalArgumentException('step input: message is required')
        }
        def given = build.once('input') { String step ->
            say('input')
            build.ask('input', [step: step, id: a.id ?: '', message: a.message, ok: a.ok ?: '', submitter: a.submitter ?: '',
                submitterParameter: a.submitterParameter ?: '', parameters: (a.parameters ?: []).collect { parameter(it as Map) }])
        } as Map
        switch (given.size()) {
            case 0: return null
            case 1: return given.values().first()
            default: return given
        }
    }

    def milestone(Object ordinal) {
        build.once('milestone') { build.ask('milestone', [ordinal: ordinal instanceof Map ? ordinal.ordinal : ordinal]) }
    }

    // --- parts of other steps ----------------------------------------------------

    def string(Map args) { args + ['$kind': 'string'] }

    def text(Map args) { args + ['$kind': 'text'] }

    def password(Map args) { args + ['$kind': 'password'] }

    def booleanParam(Map args) { args + ['$kind': 'boolean'] }

    def choice(Map args) { args + ['$kind': 'choice'] }

    def usernamePassword(Map args) { args + ['$kind': 'usernamePassword'] }

    def usernameColonPassword(Map args) { args + ['$kind': 'usernameColonPassword'] }

    def nonresumable() { ['$kind': 'nonresumable'] }

    /** A parameter of a job or of an input, as the stand-in wants it. */
    static Map parameter(Map p) {
        def choices = p.choices instanceof String ? p.choices.split('\n').toList() : (p.choices ?: [])
        [kind: p['$kind'], name: p.name, description: p.description ?: '', 'default': "${p.defaultValue == null ? '' : p.defaultValue}".toString(),
         choices: choices*.toString(), trim: p.trim == true]
    }

    def properties(List list) {
        def merged = [parameters: [], disableConcurrentBuilds: false, abortPrevious: false]
        list.each { merged.putAll(it as Map) }
        build.once('properties') { build.ask('properties', merged) }
    }

    def parameters(List list) { [parameters: list.collect { parameter(it as Map) }] }

    def disableConcurrentBuilds(Map args = [:]) { [disableConcurrentBuilds: true, abortPrevious: args.abortPrevious == true] }

    // --- declarative ---------------------------------------------------------------

    def pipeline(Closure body) { new Declarative(build).run(body) }
}
