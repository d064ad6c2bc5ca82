#!/bin/sh
# Builds one commit of one application, publishes the package and follows it
# until it is released. Railyard starts this job; people need not.
#
# Parameters of the job:
#   RAILYARD_DEPLOYMENT  names this build; Railyard has made it up
#   APP                  application to build, as the topology calls it
#   REPO_URL             repository to clone
#   BRANCH               release branch that was pushed
#   COMMIT               commit to build, in full
# From the controller's global environment (Manage Jenkins, System, Global
# properties) and, for the token, a "Secret text" credential bound to the job:
#   RAILYARD_URL         address of the Railyard service
#   RAILYARD_TOKEN       token of the service user; never printed
# The agent needs git, GNU tar, gzip and the railyard command on its PATH.
#
# Exit code: 0 released or nothing to do, 1 failed, rolled back or stopped,
# 3 superseded or revoked (the job's unstableReturn).
set -eu

say() { printf '[railyard] %s\n' "$*"; }
# Whatever fails before the verdict is a failure: its exit code must not be
# taken for one of the verdict's.
fail() { say "$*"; exit 1; }

: "${RAILYARD_URL:?set it in the global properties of Jenkins}"
: "${RAILYARD_TOKEN:?bind the credential with the service token to this job}"
: "${RAILYARD_DEPLOYMENT:?is given by Railyard when it starts the job}"
: "${APP:?}" "${REPO_URL:?}" "${BRANCH:?}" "${COMMIT:?}"

code=0
railyard begin --deployment "$RAILYARD_DEPLOYMENT" || code=$?
case $code in
0) ;;
4) say "another build does this deployment already: nothing to do"; exit 0 ;;
*) fail "Railyard did not let the build begin (exit code $code)" ;;
esac

say "checking out $APP at $COMMIT ($BRANCH)"
source=$WORKSPACE/source
package=$WORKSPACE/package.tar.gz
git init -q "$source"
cd "$source"
# Some servers give out branches only, so the branch is the second try.
git fetch -q --depth 1 -- "$REPO_URL" "$COMMIT" 2>/dev/null ||
	git fetch -q -- "$REPO_URL" "refs/heads/$BRANCH" ||
	fail "cannot fetch $BRANCH from $REPO_URL"
git checkout -q --force --detach "$COMMIT" -- || fail "$COMMIT is not on $BRANCH"
git clean -ffdxq

# The repository's own scripts run without the token.
say "building"
test -x ./build.sh || fail "there is no executable build.sh at the top of the repository"
(unset RAILYARD_TOKEN && ./build.sh) || fail "build.sh failed"
test -d dist || fail "build.sh made no dist directory"
if test -x ./test.sh; then
	say "testing"
	(unset RAILYARD_TOKEN && ./test.sh) || fail "test.sh failed"
fi

# The same files make the same bytes, whenever and by whomever they are packed.
say "packing dist"
tar -C dist --sort=name --format=gnu --mtime=@0 --owner=0 --group=0 --numeric-owner --mode=u+rwX,go=rX \
	-cf "$WORKSPACE/package.tar" . || fail "cannot pack dist"
gzip -n -c "$WORKSPACE/package.tar" >"$package" || fail "cannot compress the package"
rm -f "$WORKSPACE/package.tar"

railyard publish --deployment "$RAILYARD_DEPLOYMENT" --app "$APP" "$package" || fail "cannot publish the package"

say "following the release; stopping this build does not stop it"
exec railyard wait --deployment "$RAILYARD_DEPLOYMENT"
