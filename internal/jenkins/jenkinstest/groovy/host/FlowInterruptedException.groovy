package org.jenkinsci.plugins.workflow.steps

import groovy.transform.CompileStatic
import harness.CauseOfInterruption
import harness.Result

/** Ends a block because of an abort or a timeout. Whoever catches Exception must pass it on. */
@CompileStatic
class FlowInterruptedException extends InterruptedException {
    final Result result
    final List<CauseOfInterruption> causes

    FlowInterruptedException(Result result, List<CauseOfInterruption> causes = []) {
        super(causes ? causes.first().shortDescription : null)
        this.result = result
        this.causes = causes
    }
}
