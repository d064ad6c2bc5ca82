package harness

import groovy.json.JsonOutput
import groovy.json.JsonSlurperClassic
import groovy.transform.CompileStatic
import hudson.AbortException
import org.jenkinsci.plugins.workflow.steps.FlowInterruptedException

/**
 * The steps a build has completed, in a file, so that the build goes on after a restart. Jenkins saves the program itself;
 * here the script runs once more from its beginning, and every step that the journal knows gives what it gave before
 * without being done again. A script that takes another way the second time is told so.
 */
@CompileStatic
class Journal {
    private final File file
    private final Map<String, Map> known = [:]
    private boolean closed

    Journal(String path) {
        file = new File(path)
        if (!file.exists()) {
            return
        }
        file.eachLine('UTF-8') { String line ->
            try {
                def entry = new JsonSlurperClassic().parseText(line) as Map
                known[entry.id as String] = entry
            } catch (groovy.json.JsonException ignored) {
                // the last line, cut off by a crash: its step counts as not done
            }
        }
    }

    boolean isEmpty() { known.isEmpty() }

    boolean knows(String id) { known.containsKey(id) }

    /** What the step gave before; its failure is thrown again. */
    Object replay(String id, String step) {
        def entry = known[id]
        if (entry.step != step) {
            throw new IllegalStateException("after the restart the script took another way: step $id was ${entry.step}, now it is $step")
        }
        if (entry.aborted) {
            throw new FlowInterruptedException(Result.of(entry.aborted),
                (entry.causes as List<Map>).collect { Map c -> new CauseOfInterruption(shortDescription: c.text as String, user: c.user as String) })
        }
        if (entry.error != null) {
            throw new AbortException(entry.error as String)
        }
        entry.value
    }

    void done(String id, String step, Object value) { add(id: id, step: step, value: value) }

    void failed(String id, String step, Throwable why) {
        if (why instanceof FlowInterruptedException) {
            def causes = why.causes.collect { CauseOfInterruption c -> [text: c.shortDescription, user: c.user] }
            add(id: id, step: step, aborted: why.result.name(), causes: causes)
            return
        }
        add(id: id, step: step, error: why.message ?: why.toString())
    }

    synchronized void close() { closed = true }

    private synchronized void add(Map entry) {
        if (closed) {
            throw new Suspended()
        }
        file << JsonOutput.toJson(entry) + '\n'
    }
}
