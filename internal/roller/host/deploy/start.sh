# start.sh SCRIPT DIR ID ARG... runs SCRIPT DIR ARG... in a session of its own and passes its output and its code on.
# When this shell or its connection is cut off, the script runs on: its output is a file that has no name any more.
script=$1 dir=$2 out=$2/.railyard.$3
shift 3
umask 022
[ -d "$dir" ] || mkdir -p "$dir" || exit 70
exec 4>"$out" || exit 70
exec 3<"$out" || exit 70
rm -f "$out" # before the script starts, or it could come too late to open it
setsid /bin/sh -c "$script" railyard "$dir" "$@" >&4 2>&1 </dev/null 3<&- 4>&- &
wait $!
code=$?
cat <&3
exit "$code"
