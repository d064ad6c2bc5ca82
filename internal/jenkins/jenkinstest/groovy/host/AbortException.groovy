package hudson

import groovy.transform.CompileStatic

/** An expected failure: the console shows its message and no stack. `error` throws it. */
@CompileStatic
class AbortException extends IOException {
    AbortException(String message) { super(message) }
}
