#!/bin/sh
# Builds one commit of one application into $WORKSPACE/package.tar.gz. The
# pipelines and the freestyle job both do it, on an agent that has git, GNU tar
# and gzip.
#
# From the job's parameters:
#   APP                  application to build, as the topology calls it
#   REPO_URL             repository to clone
#   BRANCH               release branch that was pushed
#   COMMIT               commit to build, in full
# The repository has an executable build.sh, which fills dist/, and may have an
# executable test.sh.
set -eu

say() { printf '[railyard] %s\n' "$*"; }
# Whatever fails here is a failure, whatever exit code it had.
fail() { say "$*"; exit 1; }

: "${APP:?}" "${REPO_URL:?}" "${BRANCH:?}" "${COMMIT:?}"

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
