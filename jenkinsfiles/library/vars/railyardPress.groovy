/**
 * The one step of a button's job: tells Railyard that this build runs. The parameters are not passed on, since Railyard reads
 * them, and who has started the build, from Jenkins itself.
 */
void call() {
    int code = railyardNode { return railyardCli('press') } as int
    if (code != 0) {
        error("Railyard did not do it (exit code ${code}); its reason is above")
    }
}
