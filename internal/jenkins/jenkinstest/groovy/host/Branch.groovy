package harness

import groovy.transform.CompileStatic
import org.jenkinsci.plugins.workflow.steps.FlowInterruptedException

/** One line of execution of a build: its thread, and what a block around the running step has set up for it. */
@CompileStatic
class Branch {
    final Build build
    final String path // "" or "3.hotel": the step that forked it, and its name there
    private final List<Branch> forks = []
    private int steps
    private FlowInterruptedException pending
    private boolean suspended

    // What blocks set for the steps in them; each block puts back what was there.
    Map<String, String> env = [:]
    Workspace workspace // null outside of node
    String dir // working directory; null for the workspace itself
    String stage = '' // id of the innermost stage, for its steps

    Branch(Build build, String path) {
        this.build = build
        this.path = path
    }

    /** A name for the step that runs next, the same in every run of the script. */
    String nextStep() { "${path}${++steps}".toString() }

    Branch fork(String name) {
        def fork = new Branch(build, "${nextStep()}-${name.replaceAll('[^A-Za-z0-9]', '_')}-")
        fork.env = env
        fork.workspace = workspace
        fork.dir = dir
        fork.stage = stage
        synchronized (this) {
            forks << fork
        }
        fork
    }

    /** Ends the step that runs now, or else the next one; in forks too. */
    synchronized void interrupt(FlowInterruptedException why) {
        if (forks) {
            forks.each { Branch fork -> fork.interrupt(why) }
            return
        }
        pending = pending ?: why
        notifyAll()
    }

    synchronized void joined() { forks.clear() }

    synchronized void suspend() {
        forks.each { Branch fork -> fork.suspend() }
        suspended = true
        notifyAll()
    }

    /** Throws what was asked for by interrupt or suspend. A step does it before it begins. */
    synchronized void check() {
        if (suspended) {
            throw new Suspended()
        }
        if (pending != null) {
            def why = pending
            pending = null
            throw why
        }
    }

    /** Waits until the call has its reply. */
    synchronized Object await(Call call) {
        while (!call.over) {
            try {
                check()
            } catch (FlowInterruptedException why) {
                build.cancel(call)
                throw why
            }
            wait()
        }
        call.result()
    }

    synchronized void wake() { notifyAll() }

    /** Waits for so long; an interrupt ends it. */
    synchronized void pause(long millis) {
        def end = System.currentTimeMillis() + millis
        for (def left = millis; left > 0; left = end - System.currentTimeMillis()) {
            check()
            wait(left)
        }
        check()
    }
}

/** What a build asked of the stand-in, and the reply. */
@CompileStatic
class Call {
    final int number
    final Branch branch
    volatile boolean over
    private Map reply

    Call(int number, Branch branch) {
        this.number = number
        this.branch = branch
    }

    void answer(Map reply) {
        this.reply = reply
        over = true
        branch.wake()
    }

    Object result() {
        if (reply.aborted) {
            throw new FlowInterruptedException(Result.of(reply.aborted),
                [new CauseOfInterruption(shortDescription: reply.cause as String, user: reply.user as String)])
        }
        if (reply.error != null) {
            throw new hudson.AbortException(reply.error as String)
        }
        reply.value
    }
}

/** An executor with a workspace. After a restart it is taken again by the first step that needs it. */
@CompileStatic
class Workspace {
    String path
    Map<String, String> env = [:]
    String id // of the step that took it
    boolean held
}
