/**
 * The first step of a build that Railyard has started: says which build does the deployment. A lost reply can make Jenkins
 * start a build twice; the second one ends here, NOT_BUILT, with nothing done. Saying it again after a restart changes nothing.
 */
void call() {
    int code = railyardCli('begin --deployment "$RAILYARD_DEPLOYMENT"')
    if (code == 4) {
        currentBuild.description = 'duplicate: another build does this deployment'
        currentBuild.result = 'NOT_BUILT'
        error('another build does this deployment already: nothing to do')
    }
    if (code != 0) {
        error("Railyard did not let the build begin (exit code ${code}); its reason is above")
    }
}
