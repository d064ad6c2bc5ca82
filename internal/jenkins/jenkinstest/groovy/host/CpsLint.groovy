package harness

import groovy.json.JsonOutput
import groovy.json.JsonSlurperClassic
import org.codehaus.groovy.ast.ASTNode
import org.codehaus.groovy.ast.AnnotatedNode
import org.codehaus.groovy.ast.ClassCodeVisitorSupport
import org.codehaus.groovy.ast.ClassNode
import org.codehaus.groovy.ast.MethodNode
import org.codehaus.groovy.ast.expr.*
import org.codehaus.groovy.ast.stmt.CatchStatement
import org.codehaus.groovy.ast.stmt.ThrowStatement
import org.codehaus.groovy.control.CompilationFailedException
import org.codehaus.groovy.control.CompilationUnit
import org.codehaus.groovy.control.Phases
import org.codehaus.groovy.control.SourceUnit

/** Reads {path: text} from standard input and writes what in it breaks Jenkins' rules of CPS: a JSON list of path, line, rule, text. */
class CpsLint {
    static void main(String... args) {
        def files = new JsonSlurperClassic().parse(System.in.newReader('UTF-8')) as Map<String, String>
        def findings = []
        files.each { path, text -> findings.addAll(check(path, text)) }
        System.out.write(JsonOutput.toJson(findings).getBytes('UTF-8'))
        System.out.flush()
    }

    static List<Map> check(String path, String text) {
        def findings = []
        def unit = new CompilationUnit()
        unit.addSource(path, text)
        try {
            unit.compile(Phases.CONVERSION)
        } catch (CompilationFailedException failed) {
            def first = failed.hasProperty('errorCollector') ? failed.errorCollector.getError(0) : null
            def line = first?.hasProperty('cause') ? first.cause.hasProperty('line') ? first.cause.line : 0 : 0
            return [[path: path, line: line, rule: 'syntax', text: "Groovy 2.4 does not read it (no lambda, method reference, var or try-with-resources): ${failed.message.readLines().find { it.contains(path) }}".toString()]]
        }
        unit.AST.modules.each { module ->
            module.classes.each { ClassNode type -> new CpsVisitor(path, type, module.scriptClassDummy.is(type), findings).visitClass(type) }
        }
        findings.sort { it.line }
    }
}

class CpsVisitor extends ClassCodeVisitorSupport {
    private static final SPECIAL = ['toString', 'equals', 'hashCode', 'compareTo', 'compare', 'finalize'] as Set
    private static final UNTRANSLATED = ['sort', 'toSorted', 'unique', 'toUnique', 'eachMatch', 'eachLine', 'splitEachLine', 'replaceAll', 'replaceFirst', 'forEach', 'removeIf',
        'computeIfAbsent', 'computeIfPresent', 'merge', 'withDefault', 'withReader', 'withWriter', 'eachFile', 'eachFileRecurse', 'transpose', 'collectReplacements'] as Set
    private static final SHELLS = ['sh', 'bat', 'powershell', 'pwsh'] as Set
    private final String path
    private final ClassNode type
    private final boolean script
    private final List<Map> findings
    private MethodNode method
    private int secrets // depth of withCredentials around

    CpsVisitor(String path, ClassNode type, boolean script, List<Map> findings) {
        this.path = path
        this.type = type
        this.script = script
        this.findings = findings
    }

    protected SourceUnit getSourceUnit() { null }

    private void found(ASTNode at, String rule, String text) { findings << [path: path, line: at.lineNumber, rule: rule, text: text] }

    private static boolean nonCps(AnnotatedNode node) { node.annotations.any { it.classNode.nameWithoutPackage == 'NonCPS' } }

    /** Why the method that is visited runs outside CPS; null when it does not. */
    private String outside() {
        if (method == null) {
            return null
        }
        if (nonCps(method)) {
            return "@NonCPS $method.name"
        }
        if (method.name == '<init>') {
            return 'a constructor'
        }
        method.name in SPECIAL ? method.name : null
    }

    @Override
    void visitClass(ClassNode node) {
        def serializable = node.interfaces*.nameWithoutPackage.contains('Serializable') || node.superClass.nameWithoutPackage.endsWith('Exception')
        if (!script && !node.script && !node.interface && !serializable && !node.enum) {
            found(node, 'serializable-class', "class $node.nameWithoutPackage must implement Serializable: Jenkins saves what a script holds at every step")
        }
        super.visitClass(node)
    }

    @Override
    protected void visitConstructorOrMethod(MethodNode node, boolean constructor) {
        def outer = method
        method = node
        super.visitConstructorOrMethod(node, constructor)
        method = outer
    }

    @Override
    void visitMethodCallExpression(MethodCallExpression call) {
        def name = call.methodAsString
        def why = outside()
        if (name == 'var' && call.implicitThis && call.arguments.expressions.any { it instanceof BinaryExpression }) {
            found(call, 'var', 'var is not Groovy 2.4, which takes it for a method: use def')
        }
        if (why != null && call.implicitThis && !type.getMethods(name).any { nonCps(it) }) {
            found(call, 'cps-from-non-cps', "$name is called from $why: steps and CPS methods cannot be; make it @NonCPS or call it elsewhere")
        }
        if (why == null && name in UNTRANSLATED && call.arguments.expressions.any { it instanceof ClosureExpression }) {
            found(call, 'untranslated-closure', "$name calls the closure itself, outside CPS: put it into a @NonCPS method")
        }
        if (name in SHELLS) {
            strings(call.arguments).each { GStringExpression text ->
                if (secrets > 0 || text.values.any { it.text =~ /(?i)token|secret|passw|_psw/ }) {
                    found(text, 'secret-in-gstring', "$name gets a secret, or stands among secrets, in double quotes: Groovy would put it into the script; use single quotes and the shell's variable")
                }
            }
        }
        def guards = name == 'withCredentials'
        secrets += guards ? 1 : 0
        super.visitMethodCallExpression(call)
        secrets -= guards ? 1 : 0
    }

    private static List<GStringExpression> strings(Expression in_) {
        def found = []
        new org.codehaus.groovy.ast.CodeVisitorSupport() {
            void visitGStringExpression(GStringExpression text) { found << text }

            void visitClosureExpression(ClosureExpression ignored) {}
        }.with { visitor -> in_.visit(visitor) }
        found
    }

    @Override
    void visitBinaryExpression(BinaryExpression expression) {
        if (expression.operation.text == '=') {
            kept(expression)
        }
        super.visitBinaryExpression(expression)
    }

    private void kept(BinaryExpression assignment) {
        def right = assignment.rightExpression
        def text = right.text
        def what = right instanceof BinaryExpression && right.operation.text == '=~' ? 'a Matcher' :
            text =~ /JsonSlurper\(\)(?!Classic)/ ? "JsonSlurper's lazy map" :
            text =~ /\.(iterator|listIterator|entrySet|newReader|newInputStream|matcher)\(/ ? 'what cannot be saved' :
            text =~ /new (java\.util\.regex\.)?(XmlSlurper|XmlParser|Thread|Timer)\(/ ? 'what cannot be saved' : null
        if (what != null && outside() == null) {
            found(assignment, 'not-serializable-local', "a variable keeps $what: Jenkins cannot save it at the next step; do this in a @NonCPS method")
        }
    }

    @Override
    void visitGStringExpression(GStringExpression text) {
        if (text.values.any { it instanceof ClosureExpression }) {
            found(text, 'closure-in-gstring', 'a closure in a string is called outside CPS')
        }
        super.visitGStringExpression(text)
    }

    @Override
    void visitMapEntryExpression(MapEntryExpression entry) {
        if (entry.keyExpression instanceof GStringExpression) {
            found(entry, 'gstring-key', 'a key in double quotes with values in it is not equal to the same text: call toString()')
        }
        super.visitMapEntryExpression(entry)
    }

    @Override
    void visitCatchStatement(CatchStatement caught) {
        def name = caught.exceptionType.nameWithoutPackage
        if (name in ['Exception', 'Throwable', 'Object'] && outside() == null && !throwsAgain(caught)) {
            found(caught, 'swallowed-abort', "catch ($name) also catches that somebody stops the build: let FlowInterruptedException pass")
        }
        super.visitCatchStatement(caught)
    }

    private static boolean throwsAgain(CatchStatement caught) {
        def found = false
        new org.codehaus.groovy.ast.CodeVisitorSupport() {
            void visitThrowStatement(ThrowStatement ignored) { found = true }
        }.with { visitor -> caught.code.visit(visitor) }
        found
    }
}
