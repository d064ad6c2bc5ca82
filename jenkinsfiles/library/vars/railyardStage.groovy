import io.railyard.Outcome
import org.jenkinsci.plugins.workflow.steps.FlowInterruptedException

/**
 * Waits until the Coach of this build (or the Train whose job it is) has passed a stage: an environment's name, or "approval".
 * Only Railyard advances it; the build follows. It holds no executor while it waits: Railyard answers its input when the Coach
 * or the Train has moved, and then it asks Railyard how things stand. The answer itself says nothing, so whoever else answers
 * only makes it ask once more.
 *
 * A Coach that boards a Train has RAILYARD_BOARDED set to true: the Train's job carries its verdict.
 *
 * Ends the build with the verdict's result when there was no release. Aborting the build while it waits asks
 * Railyard for a brake: no server is left half done, and a person decides how it goes on.
 */
void call(String stage) {
    try {
        Outcome outcome = ask(stage)
        while (outcome.waiting) {
            rest(outcome)
            outcome = ask(stage)
        }
        if (outcome.boarded) {
            env.RAILYARD_BOARDED = 'true' // the stages that follow are the Train's
        } else if (!outcome.passed) {
            currentBuild.result = outcome.word
            error(outcome.text)
        }
        echo(outcome.text)
    } catch (FlowInterruptedException interrupted) {
        brake()
        throw interrupted
    }
}

private Outcome ask(String stage) {
    String line = railyardNode {
        withEnv(["RAILYARD_STAGE=${stage}"]) {
            return railyardCli.output('outcome --deployment "$RAILYARD_DEPLOYMENT" --stage "$RAILYARD_STAGE"')
        }
    }
    return Outcome.of(line)
}

private void rest(Outcome outcome) {
    input(id: "railyard-${outcome.milepost}", message: outcome.text, ok: 'Look again', submitter: env.RAILYARD_SUBMITTER ?: 'railyard')
}

private void brake() {
    railyardNode {
        int code = railyardCli('brake --deployment "$RAILYARD_DEPLOYMENT" --reason "build $BUILD_TAG was aborted"')
        echo(code == 0 ? 'Railyard brakes what is rolling; resume or roll back there' : 'NOT BRAKED: Railyard could not be asked; brake there')
    }
}
