# observe.sh DIR APP... prints "APP TARGET MARKER" for each app that has a link and a marker, then "observed".
dir=$1
shift
for app in "$@"; do
  target=$(readlink "$dir/$app/current" 2>/dev/null) || continue
  marker=
  { IFS= read -r marker <"$dir/$app/running"; } 2>/dev/null
  printf '%s %s %s\n' "$app" "$target" "$marker"
done
echo observed
