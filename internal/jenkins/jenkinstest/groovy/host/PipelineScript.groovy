package harness

/** What a Jenkinsfile and every script in vars/ is: the steps are its methods, the build's variables its properties. */
abstract class PipelineScript extends Script {
    Build build

    def methodMissing(String name, Object args) { build.dispatch(name, args as Object[]) }

    def propertyMissing(String name) { build.property(name) }
}

/** Where the closures of steps { } look first: only at the steps and the build's variables. */
class StepScope implements GroovyInterceptable {
    private final Build build

    StepScope(Build build) { this.@build = build }

    def invokeMethod(String name, Object args) { this.@build.inSteps(name, args as Object[]) }

    def getProperty(String name) { this.@build.property(name) }

    void setProperty(String name, Object value) { throw new MissingPropertyException(name, StepScope) }
}
