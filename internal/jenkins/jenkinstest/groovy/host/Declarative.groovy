package harness

/** Runs a declarative pipeline: reads its sections first, as far as they can be read without running a step, then runs them. */
class Declarative {
    private final Build build

    Declarative(Build build) { this.build = build }

    void run(Closure body) {
        def model = new Section('pipeline')
        read(body, model)
        if (!model.agent) {
            throw new MistakeException('Missing required section "agent"')
        }
        if (!model.stages) {
            throw new MistakeException('Missing required section "stages"')
        }
        def options = options(model)
        configure(model, options)
        around(options, 'pipeline') {
            allocated(model.agent) {
                withEnvironment(model.environment) {
                    guarded(model, '') { stages(model.stages) }
                }
            }
        }
    }

    // --- stages ----------------------------------------------------------------

    private void stages(List<Section> list) {
        def failed = null
        for (section in list) {
            if (failed != null) {
                skipped(section, 'due to earlier failure(s)')
                continue
            }
            try {
                stage(section)
            } catch (Suspended e) {
                throw e
            } catch (Throwable failure) {
                failed = Build.cause(failure)
                if (failed instanceof Suspended) {
                    throw failed
                }
            }
        }
        if (failed != null) {
            throw failed
        }
    }

    private void skipped(Section section, String why) {
        build.once('skipped') { String id ->
            build.log("[Pipeline] stage\n[Pipeline] { ($section.name)\nStage \"$section.name\" skipped $why\n[Pipeline] }\n[Pipeline] // stage\n")
            build.send('stage', [id: id, name: section.name])
            build.send('stageEnd', [id: id, name: section.name, skipped: true])
            null
        }
    }

    private void stage(Section section) {
        def run = { Closure work ->
            withEnvironment(section.environment) {
                if (section.when != null && !new When(build).all(section.when)) {
                    skipped(section, 'due to when conditional')
                    return
                }
                build.steps.stage(section.name) { around(options(section), "stage $section.name", work) }
            }
        }
        if (section.beforeAgent || section.agent == null) {
            run { allocated(section.agent) { inStage(section) } }
        } else {
            allocated(section.agent) { run { inStage(section) } }
        }
    }

    private void inStage(Section section) {
        guarded(section, build.branch.stage) {
            if (section.input != null) {
                def given = build.steps.input(section.input)
                def vars = given instanceof Map ? given : given != null && section.input.parameters ? [(section.input.parameters.first().name): given] : [:]
                build.branch.env = build.branch.env + vars.collectEntries { k, v -> [k, "$v".toString()] }
            }
            if (section.steps != null) {
                within(section.steps)
            } else if (section.parallel) {
                build.steps.parallel(section.parallel.collectEntries { Section s -> [s.name, { stage(s) }] } + [failFast: section.failFast])
            } else if (section.stages) {
                stages(section.stages)
            } else {
                throw new MistakeException("stage \"$section.name\": expected one of steps, stages, or parallel")
            }
        }
    }

    /** Runs work, then the section's post conditions by how it went. */
    private void guarded(Section section, String stage, Closure work) {
        def problem = null
        try {
            work.call()
        } catch (Throwable failure) {
            problem = Build.cause(failure)
            if (problem instanceof Suspended) {
                throw problem
            }
        }
        if (problem != null) {
            build.currentBuild.setResult(Build.resultOf(problem).name())
        }
        def result = stage ? Result.worse(problem == null ? Result.SUCCESS : Build.resultOf(problem), build.steps.stages.of(stage)) : Result.of(build.currentBuild.currentResult)
        for (condition in Post.ORDER.findAll { section.post.containsKey(it) && Post.applies(it, result) }) {
            try {
                build.once('post') { build.log("Post stage\n[Pipeline] { (Declarative: Post Actions)\n"); null }
                within(section.post[condition])
            } catch (Throwable failure) {
                def why = Build.cause(failure)
                if (why instanceof Suspended) {
                    throw why
                }
                build.once('postFailed') { build.log("Error when executing $condition post condition:\n"); build.tell(why); null }
                problem = problem ?: why
            }
        }
        if (problem != null) {
            throw problem
        }
    }

    /** Runs the body of steps { } or of a post condition. */
    private Object within(Closure body) {
        def c = (Closure) body.clone()
        c.delegate = new StepScope(build)
        c.resolveStrategy = Closure.DELEGATE_FIRST
        c.call()
    }

    // --- what surrounds them ------------------------------------------------------

    private Object allocated(Object agent, Closure work) {
        if (agent == null || agent == 'none') {
            return work.call()
        }
        build.steps.node(agent instanceof Closure ? AgentBlock.label(build, agent) : '', work)
    }

    private Object withEnvironment(Closure body, Closure work) {
        if (body == null) {
            return work.call()
        }
        def block = new EnvironmentBlock(build)
        def c = (Closure) body.clone()
        c.delegate = block
        c.resolveStrategy = Closure.DELEGATE_FIRST
        c.call()
        build.steps.inside(block.taken(), work)
    }

    private Map options(Section section) {
        def block = new OptionsBlock()
        if (section.options != null) {
            def c = (Closure) section.options.clone()
            c.delegate = block
            c.resolveStrategy = Closure.DELEGATE_ONLY
            c.call()
        }
        block.taken
    }

    private Object around(Map options, String what, Closure work) {
        def inner = options.retry ? { build.steps.retry(options.retry as int, work) } : work
        options.timeout ? build.steps.timeout(options.timeout as Map, inner) : inner.call()
    }

    /** What the Jenkinsfile says of its job is written into the job. */
    private void configure(Section model, Map options) {
        def parameters = []
        if (model.parameters != null) {
            def c = (Closure) model.parameters.clone()
            c.delegate = new ParametersBlock(build, parameters)
            c.resolveStrategy = Closure.DELEGATE_FIRST
            c.call()
        }
        if (model.parameters != null || options.concurrent) {
            build.once('properties') {
                build.ask('properties', [parameters: parameters, disableConcurrentBuilds: options.concurrent != null, abortPrevious: options.concurrent == 'abort'])
            }
        }
    }

    // --- reading -------------------------------------------------------------------

    private void read(Closure body, Section section) {
        def c = (Closure) body.clone()
        c.delegate = new SectionBlock(this, section)
        c.resolveStrategy = Closure.DELEGATE_FIRST
        c.call()
    }

    List<Section> readStages(Closure body) {
        def list = []
        def c = (Closure) body.clone()
        c.delegate = new StagesBlock(this, list)
        c.resolveStrategy = Closure.DELEGATE_ONLY
        c.call()
        if (!list) {
            throw new MistakeException('No stages specified')
        }
        list
    }

    Section readStage(String name, Closure body) {
        def section = new Section(name)
        read(body, section)
        section
    }
}
