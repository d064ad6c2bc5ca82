#!/bin/sh
# Builds one commit of one application, publishes the package and follows it
# until it is released: for freestyle jobs, which hold their executor meanwhile.
# Railyard starts this job; people need not. library/resources/railyard/build.sh
# stands in the place of the line @BUILD@.
#
# Parameters of the job: those of build.sh, and
#   RAILYARD_DEPLOYMENT  names this build; Railyard has made it up
# From the controller's global environment (Manage Jenkins, System, Global
# properties) and, for the token, a "Secret text" credential bound to the job:
#   RAILYARD_URL         address of the Railyard service
#   RAILYARD_TOKEN       token of the service user; never printed
# The agent also needs the railyard command on its PATH.
#
# Exit code: 0 released or nothing to do, 1 failed, rolled back or stopped,
# 3 superseded or revoked (the job's unstableReturn).
set -eu

: "${RAILYARD_URL:?set it in the global properties of Jenkins}"
: "${RAILYARD_TOKEN:?bind the credential with the service token to this job}"
: "${RAILYARD_DEPLOYMENT:?is given by Railyard when it starts the job}"

code=0
railyard begin --deployment "$RAILYARD_DEPLOYMENT" || code=$?
case $code in
0) ;;
4) echo "[railyard] another build does this deployment already: nothing to do"; exit 0 ;;
*) echo "[railyard] Railyard did not let the build begin (exit code $code)"; exit 1 ;;
esac

@BUILD@

railyard publish --deployment "$RAILYARD_DEPLOYMENT" --app "$APP" "$WORKSPACE/package.tar.gz" || fail "cannot publish the package"

say "following the release; stopping this build does not stop it"
exec railyard wait --deployment "$RAILYARD_DEPLOYMENT"
