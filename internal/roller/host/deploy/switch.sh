# switch.sh DIR LOCKWAIT LIMIT [APP NAME PACKAGE CONFIG KEEP DAYS RESTART]... makes the apps run their releases.
#
# LOCKWAIT and LIMIT are seconds: for an earlier switch to end, and for each restart. PACKAGE and CONFIG are SHA-256 in
# hexadecimal; CONFIG may be "-". DAYS is how long old versions stay in slots, 0 for an app that has none. The last line "step …" of the output names what was being done; codes:
#   0 done    10 archives are missing    11 another switch holds the lock    12 a step failed
umask 022
dir=$1 lockwait=$2 limit=$3
shift 3
cd "$dir" || exit 70

step() { echo "step $*"; }
fail() {
  echo "$*"
  exit 12
}

runs() { # APP NAME: does the app run that release, for all we know? Sets at: the release that current points to.
  at=$(readlink "$1/current" 2>/dev/null) || at=
  at=${at#releases/}
  marker=
  { IFS= read -r marker <"$1/running"; } 2>/dev/null
  [ "$marker" = "$2" ] && [ "$at" = "$2" ]
}

# need APP HEX KIND: true if the archive must be sent. One with other bytes is thrown away.
need() {
  [ "$2" = - ] && return 1
  mkdir -p "$1/incoming" "$1/releases" || fail "cannot make $dir/$1/incoming"
  find "$1/incoming" -type f -mmin +60 -exec rm -f {} + # left by an upload that was cut off
  if [ ! -f "$1/incoming/$2" ]; then
    echo "missing $1 $2"
    return 0
  fi
  sum=$(sha256sum <"$1/incoming/$2") || fail "cannot read $dir/$1/incoming/$2"
  [ "${sum%% *}" = "$2" ] && return 1
  rm -f "$1/incoming/$2"
  echo "damaged $1 $2"
}

extract() { # ARCHIVE DIRECTORY
  mkdir -p "$2" && tar -xzf "$1" -C "$2" --no-same-owner --no-same-permissions
}

fill() { # APP PACKAGE CONFIG DIRECTORY
  extract "$1/incoming/$2" "$4" || return
  [ "$3" = - ] || extract "$1/incoming/$3" "$4/config" || return
  : >"$4/.complete" || return
  sync -f "$4" 2>/dev/null || sync
}

unpack() { # APP NAME PACKAGE CONFIG
  step unpack "$1"
  new=$1/releases/.new
  rm -rf "$new" "$1/releases/.old"
  if ! fill "$1" "$3" "$4" "$new"; then
    rm -rf "$new"
    fail "cannot unpack into $dir/$1/releases; is the disk full?"
  fi
  # Without .complete it is no release of ours; something may still run from it, so it moves rather than goes.
  if [ -e "$1/releases/$2" ]; then
    mv -T "$1/releases/$2" "$1/releases/.old" || fail "cannot move $dir/$1/releases/$2 away"
  fi
  mv -T "$new" "$1/releases/$2" || fail "cannot rename into $dir/$1/releases/$2"
  rm -rf "$1/releases/.old"
  rm -f "$1/incoming/$3" "$1/incoming/$4"
}

point() { # APP NAME: current → releases/NAME, at once
  step link "$1"
  rm -f "$1/running" || fail "cannot remove $dir/$1/running"
  [ "$at" = "$2" ] && return
  if ! { ln -sfn "releases/$2" "$1/.current" && mv -T "$1/.current" "$1/current"; }; then
    fail "cannot switch $dir/$1/current"
  fi
}

restart() { # APP NAME COMMAND
  step restart "$1"
  if [ -n "$3" ]; then
    # A process that the command leaves behind must not hold our lock (9) or our output.
    timeout -k 5 "$limit" /bin/sh -c "$3" >"$1/restart.log" 2>&1 9>&-
    code=$?
    case $code in
      0) ;;
      124 | 137) fail "the restart command did not return within $limit s: $(tail -c 500 "$1/restart.log")" ;;
      *) fail "the restart command ended with code $code: $(tail -c 500 "$1/restart.log")" ;;
    esac
  fi
  if ! { echo "$2" >"$1/.running" && mv -T "$1/.running" "$1/running"; }; then
    fail "cannot write $dir/$1/running"
  fi
}

lay() { # APP NAME: slots/ has the files of this version too, as links to the same bytes
  step slots "$1"
  mkdir -p "$1/slots" || fail "cannot make $dir/$1/slots"
  cp -alf "$1/releases/$2/." "$1/slots/" || echo "some files of $2 are not beside those of other versions in $dir/$1/slots"
  rm -rf "$1/slots/.complete" "$1/slots/config"
}

young() { # STAMP DAYS: was the release in use less than so many days ago?
  [ "$2" -gt 0 ] && [ -n "$(find "$1" -mtime "-$2")" ]
}

# prune APP NAME KEEP DAYS OLD: the last KEEP releases by their last use stay, and what was in a slot DAYS ago; NAME and OLD
# always do.
prune() {
  : >"$1/releases/$2/.complete" # it is in use now
  app=$1 name=$2 keep=$3 days=$4 old=$5
  if [ "$days" -gt 0 ] && [ -f "$app/releases/$old/.complete" ]; then
    touch -d '1 second ago' "$app/releases/$old/.complete" # it was in use until now
  fi
  set -- "$1"/releases/*/.complete
  [ $# -gt "$keep" ] || return
  step prune "$app"
  # shellcheck disable=SC2012 # names of releases are hexadecimal digits and a dash
  ls -t "$@" | tail -n +$((keep + 1)) | while IFS= read -r stamp; do
    release=${stamp%/.complete}
    case ${release##*/} in
      "$name" | "$old") ;;
      *) young "$stamp" "$days" || rm -rf "$release" ;;
    esac
  done
  if [ "$days" -gt 0 ] && [ -d "$app/slots" ]; then
    find "$app/slots" -type f -links 1 -exec rm -f {} + # of versions that are gone
    find "$app/slots" -mindepth 1 -type d -empty -delete
  fi
}

each() { # FUNCTION APP NAME PACKAGE CONFIG KEEP DAYS RESTART...: calls the function for every app
  call=$1
  shift
  while [ $# -gt 0 ]; do
    "$call" "$1" "$2" "$3" "$4" "$5" "$6" "$7"
    shift 7
  done
}

look_one() {
  [ -f "$1/releases/$2/.complete" ] && return
  need "$1" "$3" && missing=1
  need "$1" "$4" && missing=1
}
unpack_one() { [ -f "$1/releases/$2/.complete" ] || unpack "$1" "$2" "$3" "$4"; }
point_one() {
  runs "$1" "$2" && return
  changed="$changed $1=$at "
  point "$1" "$2"
}
restart_one() {
  [ -f "$1/running" ] && return
  [ "$6" -eq 0 ] || lay "$1" "$2"
  restart "$1" "$2" "$7"
}
prune_one() {
  case $changed in
    *" $1="*)
      old=${changed#*" $1="}
      prune "$1" "$2" "$5" "$6" "${old%% *}"
      ;;
  esac
}

step lock
exec 9>.railyard.lock || exit 70
flock -w "$lockwait" 9 || exit 11

step look
missing=
each look_one "$@"
[ -z "$missing" ] || exit 10
each unpack_one "$@"
changed= # " APP=OLD " of each app that is switched
each point_one "$@"
each restart_one "$@"
each prune_one "$@"
step finished
