package harness

import groovy.transform.CompileStatic

import java.util.concurrent.ConcurrentHashMap

/**
 * The host of all builds of one stand-in: one JVM, one thread a build. It ends with its standard input. The Go package
 * beside it describes the messages.
 */
@CompileStatic
class Main {
    static void main(String... args) {
        def wire = new Wire(System.in, System.out)
        System.out = System.err // whatever a script prints past its console does not disturb the line
        def scripts = new Scripts()
        def builds = new ConcurrentHashMap<String, Build>()
        wire.write([op: 'ready', groovy: GroovySystem.version] as Map<String, Object>)
        for (def order = wire.read(); order != null; order = wire.read()) {
            def key = order.build as String
            def build = builds[key]
            switch (order.op) {
                case 'run':
                    build = new Build(order, wire, scripts)
                    builds[key] = build
                    build.start { builds.remove(key, build) }
                    break
                case 'reply': build?.reply(order); break
                case 'abort': build?.abort(order); break
                case 'suspend': builds.remove(key)?.suspend(); break
                default: System.err.println("unknown order ${order.op}")
            }
        }
        Runtime.runtime.halt(0)
    }
}
