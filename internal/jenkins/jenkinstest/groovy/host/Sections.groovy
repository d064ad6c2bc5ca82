package harness

import hudson.AbortException

/** A pipeline that Jenkins would refuse before it runs anything. */
class MistakeException extends AbortException {
    MistakeException(String message) { super("WorkflowScript: $message") }
}

/** A pipeline or a stage, as it is written. */
class Section {
    final String name
    Object agent // "none", "any" or the closure that says more
    Closure environment, options, parameters, steps, when
    List<Section> stages, parallel
    Map<String, Closure> post = [:]
    Map input
    boolean failFast, beforeAgent

    Section(String name) { this.name = name }
}

/** Gives names without quotes a meaning: none, any. */
class SectionBlock {
    private final Declarative reader
    private final Section section
    final String none = 'none'
    final String any = 'any'

    SectionBlock(Declarative reader, Section section) {
        this.reader = reader
        this.section = section
    }

    void agent(String what) { section.agent = what }

    void agent(Closure body) { section.agent = body }

    void environment(Closure body) { section.environment = body }

    void options(Closure body) { section.options = body }

    void parameters(Closure body) { section.parameters = body }

    void steps(Closure body) { section.steps = body }

    void stages(Closure body) { section.stages = reader.readStages(body) }

    void parallel(Closure body) { section.parallel = reader.readStages(body) }

    void failFast(boolean on) { section.failFast = on }

    void triggers(Closure body) {}

    void when(Closure body) {
        section.when = body
        section.beforeAgent = BeforeAgent.of(body)
    }

    void input(Closure body) {
        section.input = [:]
        body.delegate = new InputBlock(section.input)
        body.resolveStrategy = Closure.DELEGATE_FIRST
        body.call()
    }

    void post(Closure body) {
        body.delegate = new Post(section.post)
        body.resolveStrategy = Closure.DELEGATE_ONLY
        body.call()
    }

    def methodMissing(String name, Object args) { throw new MistakeException("Undefined section \"$name\" in $section.name") }
}

/** agent { label 'x' }, or with node around it. */
class AgentBlock {
    private final Build build
    private String label

    private AgentBlock(Build build) { this.build = build }

    static String label(Build build, Closure body) {
        def block = new AgentBlock(build)
        block.node(body)
        if (block.@label == null) {
            throw new MistakeException('agent: only none, any and { label } run here')
        }
        block.@label
    }

    void label(Object name) { label = "$name" }

    void node(Closure body) {
        def c = (Closure) body.clone()
        c.delegate = this
        c.resolveStrategy = Closure.DELEGATE_FIRST
        c.call()
    }

    void customWorkspace(Object path) { throw new MistakeException('agent: customWorkspace is not known here') }

    def propertyMissing(String name) { build.property(name) }
}

class StagesBlock {
    private final Declarative reader
    private final List<Section> list

    StagesBlock(Declarative reader, List<Section> list) {
        this.reader = reader
        this.list = list
    }

    void stage(String name, Closure body) {
        if (list*.name.contains(name)) {
            throw new MistakeException("Duplicate stage name: \"$name\"")
        }
        list << reader.readStage(name, body)
    }

    def methodMissing(String name, Object args) { throw new MistakeException("Expected a stage, found \"$name\"") }
}

class InputBlock {
    private final Map input

    InputBlock(Map input) { this.input = input }

    def methodMissing(String name, Object args) { input[name] = (args as List).first() }

    void parameters(Closure body) {
        def list = []
        body.delegate = new Expando(string: { Map p -> list << p + ['$kind': 'string'] }, choice: { Map p -> list << p + ['$kind': 'choice'] },
            booleanParam: { Map p -> list << p + ['$kind': 'boolean'] }, text: { Map p -> list << p + ['$kind': 'text'] })
        body.resolveStrategy = Closure.DELEGATE_FIRST
        body.call()
        input.parameters = list
    }
}

/** The conditions of post { }, in the order in which Jenkins looks at them. */
class Post {
    static final ORDER = ['always', 'aborted', 'failure', 'success', 'unstable', 'unsuccessful', 'notBuilt', 'cleanup']
    private final Map<String, Closure> taken

    Post(Map<String, Closure> taken) { this.taken = taken }

    def methodMissing(String name, Object args) {
        if (name in ['changed', 'fixed', 'regression']) {
            throw new MistakeException("post condition \"$name\" is not known here: it needs the build before")
        }
        if (!(name in ORDER)) {
            throw new MistakeException("Invalid condition \"$name\" - valid conditions are $ORDER")
        }
        taken[name] = (Closure) (args as List).first()
    }

    static boolean applies(String condition, Result result) {
        switch (condition) {
            case 'always': case 'cleanup': return true
            case 'aborted': return result == Result.ABORTED
            case 'failure': return result == Result.FAILURE
            case 'success': return result == Result.SUCCESS
            case 'unstable': return result == Result.UNSTABLE
            case 'unsuccessful': return result != Result.SUCCESS
            case 'notBuilt': return result == Result.NOT_BUILT
        }
        false
    }
}

/** environment { NAME = value }, where credentials('id') binds a secret. */
class EnvironmentBlock {
    private final Build build
    private final Map<String, String> vars = [:]

    EnvironmentBlock(Build build) { this.@build = build }

    Map<String, String> taken() { this.@vars }

    Map credentials(String id) { this.@build.ask('credential', [id: id]) as Map }

    void setProperty(String name, Object value) {
        if (value instanceof Map) {
            this.@vars[name] = value.user ? "$value.user:$value.secret".toString() : value.secret
            if (value.user) {
                this.@vars["${name}_USR".toString()] = value.user
                this.@vars["${name}_PSW".toString()] = value.secret
            }
            return
        }
        this.@vars[name] = "$value".toString()
    }

    def getProperty(String name) {
        def value = this.@vars[name]
        value == null ? this.@build.property(name) : value
    }
}

class OptionsBlock {
    final Map taken = [:]

    void timeout(Map args) { taken.timeout = args }

    void retry(int count) { taken.retry = count }

    void disableConcurrentBuilds(Map args = [:]) { taken.concurrent = args.abortPrevious ? 'abort' : 'wait' }

    // These change nothing here: no implicit checkout, no rotation of builds, no time in the console.
    void skipDefaultCheckout(boolean on = true) {}

    void buildDiscarder(Object strategy) {}

    def logRotator(Map args) { args }

    void timestamps() {}

    void durabilityHint(Object hint) {}

    void preserveStashes(Map args = [:]) {}

    def methodMissing(String name, Object args) { throw new MistakeException("Invalid option type \"$name\"") }
}

class ParametersBlock {
    private final Build build
    private final List list

    ParametersBlock(Build build, List list) {
        this.build = build
        this.list = list
    }

    private void add(String kind, Map p) { list << Steps.parameter(p + ['$kind': kind]) }

    void string(Map p) { add('string', p) }

    void text(Map p) { add('text', p) }

    void password(Map p) { add('password', p) }

    void booleanParam(Map p) { add('boolean', p) }

    void choice(Map p) { add('choice', p) }
}

/** when { }: every condition must hold. */
class When {
    private final Build build
    private final List<Boolean> verdicts = []

    When(Build build) { this.build = build }

    boolean all(Closure body) { read(body).every() }

    private List<Boolean> read(Closure body) {
        def inner = new When(build)
        def c = (Closure) body.clone()
        c.delegate = inner
        c.resolveStrategy = Closure.DELEGATE_FIRST
        c.call()
        inner.@verdicts
    }

    void expression(Closure body) {
        def c = (Closure) body.clone()
        c.delegate = new StepScope(build)
        c.resolveStrategy = Closure.DELEGATE_FIRST
        verdicts << (c.call() as boolean)
    }

    void environment(Map args) { verdicts << (build.env.get(args.name as String) == "$args.value".toString()) }

    void equals(Map args) { verdicts << (args.expected == args.actual) }

    void not(Closure body) { verdicts << !read(body).every() }

    void allOf(Closure body) { verdicts << read(body).every() }

    void anyOf(Closure body) { verdicts << read(body).any() }

    void branch(String pattern) { verdicts << (build.env.get('BRANCH_NAME') == pattern) }

    void beforeAgent(boolean on) {}

    void beforeInput(boolean on) {}

    void beforeOptions(boolean on) {}

    def propertyMissing(String name) { build.property(name) }
}

/** Looks whether a when { } says beforeAgent, without evaluating its conditions. */
class BeforeAgent {
    boolean found

    static boolean of(Closure body) {
        def block = new BeforeAgent()
        def c = (Closure) body.clone()
        c.delegate = block
        c.resolveStrategy = Closure.DELEGATE_ONLY
        c.call()
        block.found
    }

    void beforeAgent(boolean on) { found = on }

    def methodMissing(String name, Object args) { null }

    def propertyMissing(String name) { [:].withDefault { null } }
}
