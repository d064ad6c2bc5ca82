/** Publishes the package. The same bytes again change nothing, so it may run twice. */
void call() {
    int code = railyardCli('publish --deployment "$RAILYARD_DEPLOYMENT" --app "$APP" package.tar.gz')
    if (code != 0) {
        error("the package could not be published (exit code ${code}); the reason is above")
    }
}
