#!/bin/sh
# restart ROOT SERVER stops the server's process, waits until it is gone, and starts a new one without waiting for it.
root=$1 dir=$1/srv/$2

# A process that nobody has collected yet is gone, too.
gone() {
  { read -r _ _ state _ <"/proc/$pid/stat"; } 2>/dev/null || return 0
  [ "$state" = Z ]
}

if { read -r pid <"$dir/pid"; } 2>/dev/null; then
  kill "$pid" 2>/dev/null
  until gone; do sleep 0.01; done
fi
read -r address <"$dir/address"
setsid "$root/app" "$address" "$dir/web" "$root/leash" </dev/null >>"$dir/log" 2>&1 &
echo $! >"$dir/pid"
