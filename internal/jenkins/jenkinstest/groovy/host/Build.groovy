package harness

import groovy.transform.CompileStatic
import hudson.AbortException
import org.jenkinsci.plugins.workflow.steps.FlowInterruptedException

/** One run of one build: its script on a thread of its own, and the way of its steps to the stand-in and back. */
@CompileStatic
class Build {
    final String key
    final Map<String, Object> order
    final Steps steps
    final CurrentBuild currentBuild
    final EnvVars env
    final Map<String, Object> params
    private final Wire wire
    private final Journal journal
    private final Scripts scripts
    private final Map<Integer, Call> calls = [:]
    private final Map<String, Object> singletons = [:]
    private final ThreadLocal<Branch> current = new ThreadLocal<>()
    private final Branch trunk
    private List<Scripts.Lib> libraries = []
    private PipelineScript workflow
    private int asked

    Build(Map<String, Object> order, Wire wire, Scripts scripts) {
        this.order = order
        this.wire = wire
        this.scripts = scripts
        key = order.build as String
        journal = new Journal(order.journal as String)
        trunk = new Branch(this, '')
        params = Collections.unmodifiableMap((order.params ?: [:]) as Map<String, Object>)
        env = new EnvVars(this, (order.env ?: [:]) as Map<String, String>)
        currentBuild = new CurrentBuild(this)
        steps = new Steps(this)
    }

    void start(Runnable ended) {
        def thread = new Thread(null, { run(); ended.run() }, "build $key", 16L << 20)
        thread.daemon = true
        thread.start()
    }

    Branch getBranch() { current.get() }

    /** Runs body on the branch; the caller's thread belongs to it meanwhile. */
    Object on(Branch branch, Closure body) {
        current.set(branch)
        body.call()
    }

    private void run() {
        current.set(trunk)
        def result = currentBuild.resultOrNull()
        try {
            load().run()
            result = Result.SUCCESS
        } catch (Suspended ignored) {
            return
        } catch (Throwable failure) {
            def why = cause(failure)
            if (why instanceof Suspended) {
                return
            }
            result = resultOf(why)
            tell(why)
        }
        try {
            journal.close()
            send('end', [result: Result.worse(currentBuild.resultOrNull(), result).name()])
        } catch (Suspended ignored) {
            return
        }
    }

    private PipelineScript load() {
        def text = order.script as String
        def available = (order.libraries ?: [:]) as Map<String, String>
        libraries = Scripts.named(text).collect { String name ->
            if (!available[name]) {
                throw new AbortException("No version specified for library $name, or no such library: there are ${available.keySet()}")
            }
            scripts.library(available[name])
        }
        workflow = script(scripts.jenkinsfile(text, libraries))
    }

    private PipelineScript script(Class type) {
        def script = (PipelineScript) type.newInstance()
        script.build = this
        script
    }

    /** What an exception that a closure or a method wrapped really is. */
    static Throwable cause(Throwable t) {
        while ((t instanceof org.codehaus.groovy.runtime.InvokerInvocationException
            || t instanceof java.lang.reflect.InvocationTargetException
            || t instanceof java.lang.reflect.UndeclaredThrowableException) && t.cause != null) {
            t = t.cause
        }
        t
    }

    static Result resultOf(Throwable why) { why instanceof FlowInterruptedException ? why.result : Result.FAILURE }

    /** Tells the console why the build fails, as Jenkins does: a message for what was expected, the stack for what was not. */
    void tell(Throwable why) {
        if (why instanceof FlowInterruptedException) {
            why.causes.each { CauseOfInterruption c -> log("$c.shortDescription\n") }
        } else if (why instanceof AbortException) {
            log("ERROR: $why.message\n")
        } else {
            def own = why.stackTrace.findAll { StackTraceElement e -> e.fileName in ['WorkflowScript'] || e.fileName?.endsWith('.groovy') && !e.className.startsWith('harness.') }
            log("${why}\n" + own.take(12).collect { "\tat $it\n" }.join(''))
        }
    }

    // --- steps and variables ---------------------------------------------------

    /** Calls a step, or a variable of a library. */
    Object dispatch(String called, Object[] args) {
        def name = called.startsWith('step$') ? called.substring(5) : called // see OwnNames
        Mismatch.check(name)
        try {
            if (steps.has(name)) {
                return steps.invoke(name, args)
            }
            def variable = libraryVariable(name)
            if (variable != null) {
                return variable.invokeMethod('call', args)
            }
        } catch (Throwable failure) {
            throw cause(failure) // what was thrown is what the script catches
        }
        throw new NoSuchMethodError("No such DSL method '$name' found among steps ${steps.names()}")
    }

    /** Calls a method of the Jenkinsfile, or else a step. */
    Object inSteps(String name, Object[] args) {
        def own = workflow.metaClass.pickMethod(name, args.collect { Object a -> a?.getClass() } as Class[])
        own != null && own.declaringClass.theClass == workflow.getClass() ? own.doMethodInvoke(workflow, args) : dispatch(name, args)
    }

    /** A variable of the script: env, params, currentBuild, one of a library, or of the environment. */
    Object property(String name) {
        switch (name) {
            case 'env': return env
            case 'params': return params
            case 'currentBuild': return currentBuild
            case 'scm':
                if (order.scm) {
                    return order.scm
                }
                break
        }
        def variable = libraryVariable(name)
        if (variable != null) {
            return variable
        }
        def value = env.get(name)
        if (value != null) {
            return value
        }
        if (params.containsKey(name)) {
            return params[name]
        }
        throw new MissingPropertyException("No such property: $name for class: groovy.lang.Binding")
    }

    private synchronized PipelineScript libraryVariable(String name) {
        if (!singletons.containsKey(name)) {
            def type = libraries.findResult { Scripts.Lib lib -> lib.var(name) }
            singletons[name] = type == null ? null : script((Class) type)
        }
        singletons[name] as PipelineScript
    }

    /** A file of a library's resources/. */
    String resource(String path) {
        def file = libraries.collect { Scripts.Lib lib -> new File(lib.dir, "resources/$path") }.find { File f -> f.file }
        if (file == null) {
            throw new AbortException("No such library resource $path could be found.")
        }
        file.getText('UTF-8')
    }

    /** A step that is done once: a second run of the script gets what the first one got. */
    Object once(String step, Closure body) {
        def id = branch.nextStep()
        if (journal.knows(id)) {
            branch.check()
            return journal.replay(id, step)
        }
        branch.check()
        try {
            def value = body.call(id)
            journal.done(id, step, value)
            value
        } catch (Suspended suspended) {
            throw suspended
        } catch (Throwable failure) {
            def why = cause(failure)
            if (!(why instanceof Suspended)) {
                journal.failed(id, step, why)
            }
            throw why
        }
    }

    // --- the way to the stand-in -----------------------------------------------

    void send(String op, Map<String, ?> message) { wire.write([op: op, build: key] as Map<String, Object>, message) }

    void log(Object text) { send('log', [text: "$text".toString()]) }

    /** Asks the stand-in for something and waits for the reply. */
    Object ask(String what, Map<String, ?> arguments) {
        def call
        synchronized (calls) {
            call = new Call(++asked, branch)
            calls[call.number] = call
        }
        wire.write([op: 'call', build: key, call: call.number, what: what] as Map<String, Object>, arguments)
        try {
            branch.await(call)
        } finally {
            synchronized (calls) {
                calls.remove(call.number)
            }
        }
    }

    void cancel(Call call) { send('cancel', [call: call.number]) }

    void reply(Map order) {
        Call call
        synchronized (calls) {
            call = calls[order.call as int]
        }
        call?.answer(order)
    }

    void abort(Map order) {
        trunk.interrupt(new FlowInterruptedException(Result.of(order.result),
            [new CauseOfInterruption(shortDescription: order.cause as String, user: order.user as String)]))
    }

    void suspend() {
        journal.close()
        trunk.suspend()
    }
}
