// Classes that Jenkinsfiles may name: the few of Jenkins' own that a script imports, catches or annotates with.
package harness

import groovy.transform.CompileStatic

import java.lang.annotation.ElementType
import java.lang.annotation.Retention
import java.lang.annotation.RetentionPolicy
import java.lang.annotation.Target

/** Results from the best to the worst. A build's result only gets worse. */
@CompileStatic
enum Result {
    SUCCESS, UNSTABLE, FAILURE, NOT_BUILT, ABORTED

    static Result of(Object name) {
        def known = values().find { Result r -> r.name() == "$name".toString() }
        if (known == null) {
            throw new IllegalArgumentException("no result $name; there are ${values().toList()}")
        }
        known
    }

    static Result worse(Result a, Result b) { a == null ? b : b == null ? a : a.ordinal() >= b.ordinal() ? a : b }
}

/** Marks a method that runs outside the CPS transformation: no step may be called from it. */
@Retention(RetentionPolicy.RUNTIME)
@Target([ElementType.METHOD, ElementType.CONSTRUCTOR])
@interface NonCPS {}

/** Names the shared libraries of a Jenkinsfile. */
@Retention(RetentionPolicy.SOURCE)
@interface Library {
    String[] value()
}

/** Why a build was interrupted, as FlowInterruptedException.causes tells. */
@CompileStatic
class CauseOfInterruption implements Serializable {
    String shortDescription
    String user // who pressed stop; null for timeouts

    String toString() { shortDescription }
}

/** What the end of a build's thread is told by when its Jenkins goes down: no script catches it, nothing is recorded any more. */
@CompileStatic
class Suspended extends Error {
    Suspended() { super('the controller went down', null, false, false) }
}
