package harness

import groovy.transform.CompileStatic
import org.codehaus.groovy.ast.ClassCodeVisitorSupport
import org.codehaus.groovy.ast.ClassNode
import org.codehaus.groovy.ast.expr.ConstantExpression
import org.codehaus.groovy.ast.expr.MethodCallExpression
import org.codehaus.groovy.classgen.GeneratorContext
import org.codehaus.groovy.control.CompilePhase
import org.codehaus.groovy.control.CompilerConfiguration
import org.codehaus.groovy.control.SourceUnit
import org.codehaus.groovy.control.customizers.CompilationCustomizer
import org.codehaus.groovy.control.customizers.ImportCustomizer

import java.util.concurrent.ConcurrentHashMap

/** Parsed Jenkinsfiles and libraries, kept from build to build. */
@CompileStatic
class Scripts {
    /** One shared library: what its vars/ hold, by name. */
    @CompileStatic
    static class Lib {
        final File dir
        final GroovyClassLoader loader
        private final Map<String, Class> vars = new ConcurrentHashMap<>()

        Lib(File dir, GroovyClassLoader loader) {
            this.dir = dir
            this.loader = loader
        }

        /** The class of vars/NAME.groovy; null when there is none. */
        synchronized Class var(String name) {
            def file = new File(dir, "vars/${name}.groovy")
            if (!vars.containsKey(name) && file.file) {
                vars[name] = loader.parseClass(new GroovyCodeSource(file.getText('UTF-8'), "${name}.groovy", '/library'), false)
            }
            vars[name]
        }
    }

    private final Map<String, Class> parsed = new ConcurrentHashMap<>()
    private final Map<String, Lib> libs = new ConcurrentHashMap<>()

    /** The library in a directory, whose content never changes: another content is another directory. */
    synchronized Lib library(String dir) {
        if (!libs.containsKey(dir)) {
            def loader = new GroovyClassLoader(Scripts.classLoader, configuration())
            loader.addClasspath(new File(dir, 'src').path)
            libs[dir] = new Lib(new File(dir), loader)
        }
        libs[dir]
    }

    /** The class of a Jenkinsfile that uses these libraries. */
    synchronized Class jenkinsfile(String text, List<Lib> libraries) {
        def key = libraries*.dir.join(':') + '\n' + text
        if (!parsed.containsKey(key)) {
            def loader = new GroovyClassLoader(Scripts.classLoader, configuration())
            libraries.each { Lib lib -> loader.addClasspath(new File(lib.dir, 'src').path) }
            parsed[key] = loader.parseClass(new GroovyCodeSource(text, 'WorkflowScript', '/jenkinsfile'), false)
        }
        parsed[key]
    }

    /** The libraries that a Jenkinsfile names: @Library('railyard@main') _. */
    static List<String> named(String text) {
        def found = []
        (text =~ /@Library\(([^)]*)\)/).each { List<String> match ->
            (match[1] =~ /['"]([^'"@]+)(@[^'"]*)?['"]/).each { List<String> name -> found << name[1] }
        }
        found as List<String>
    }

    private static CompilerConfiguration configuration() {
        def imports = new ImportCustomizer()
        imports.addImports('harness.Library', 'harness.NonCPS')
        def configuration = new CompilerConfiguration(scriptBaseClass: PipelineScript.name, sourceEncoding: 'UTF-8')
        configuration.addCompilationCustomizers(imports, new OwnNames())
        configuration
    }
}

/** Gives the steps that Groovy has as methods of every object (and every closure) names that it has not. */
@CompileStatic
class OwnNames extends CompilationCustomizer {
    static final Map<String, String> STEPS = [sleep: 'step$sleep', print: 'step$echo', println: 'step$echo']

    OwnNames() { super(CompilePhase.CONVERSION) }

    @Override
    void call(SourceUnit source, GeneratorContext context, ClassNode type) {
        new ClassCodeVisitorSupport() {
            @Override
            protected SourceUnit getSourceUnit() { source }

            @Override
            void visitMethodCallExpression(MethodCallExpression call) {
                def name = STEPS[call.methodAsString]
                if (call.implicitThis && name != null) {
                    call.method = new ConstantExpression(name)
                }
                super.visitMethodCallExpression(call)
            }
        }.visitClass(type)
    }
}
