package harness

/** Finds steps where Jenkins would not run them: in a closure that Groovy itself calls. */
class Mismatch {
    private static final UNTRANSLATED = ['org.codehaus.groovy.runtime.DefaultGroovyMethods', 'org.codehaus.groovy.runtime.StringGroovyMethods', 'java.util.Collections', 'java.util.Arrays',
        'java.util.TimSort', 'java.util.TreeMap', 'java.util.ArrayList']
    // Those of them that call a closure and that Jenkins' CPS library has not translated.
    private static final CALLERS = ['sort', 'toSorted', 'unique', 'toUnique', 'forEach', 'replaceAll', 'removeIf', 'eachMatch', 'eachLine', 'computeIfAbsent'] as Set

    static void check(String step) {
        for (frame in Thread.currentThread().stackTrace) {
            if (frame.className in UNTRANSLATED && frame.methodName in CALLERS) {
                throw new IllegalStateException("expected to call ${frame.methodName} but wound up catching $step; see: https://jenkins.io/redirect/pipeline-cps-method-mismatches/")
            }
        }
    }
}
