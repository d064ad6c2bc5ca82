/**
 * Checks the commit out, builds, tests and packs it into package.tar.gz of the workspace: resources/railyard/build.sh says
 * how. It is one process, to which Jenkins attaches again after a restart.
 */
void call() {
    sh(script: libraryResource('railyard/build.sh'), label: 'build.sh')
}
