package harness

import groovy.json.JsonOutput
import groovy.json.JsonSlurperClassic
import groovy.transform.CompileStatic

import java.nio.charset.StandardCharsets

/** The line to the stand-in: one JSON object a line, orders on standard input, everything a build does on standard output. */
@CompileStatic
class Wire {
    private final PrintStream out
    private final BufferedReader lines

    Wire(InputStream input, PrintStream out) {
        this.out = out
        lines = new BufferedReader(new InputStreamReader(input, StandardCharsets.UTF_8))
    }

    /** The next order; null when the stand-in has gone. */
    Map<String, Object> read() {
        def line = lines.readLine()
        line == null ? null : new JsonSlurperClassic().parseText(line) as Map<String, Object>
    }

    synchronized void write(Map<String, Object> head, Map<String, ?> rest = [:]) {
        def message = new LinkedHashMap<String, Object>(head)
        message.putAll(rest)
        out.write((JsonOutput.toJson(message) + '\n').getBytes(StandardCharsets.UTF_8))
        out.flush()
    }
}
