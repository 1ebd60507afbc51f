# SPDX-License-Identifier: MIT
# What could keep a dead helper's successor from its contents does not: a core dump that lasts, a predecessor that never
# lets go, standard files that are missing. And a keeper whose device is gone for good ends.
# memory: 1G
# timeout: 240
# shellcheck shell=bash

# known_bytes, same_bytes: 4 MiB written to the device, and found there again.
known_bytes() {
	dd if=/dev/urandom of=block bs=64k count=64 status=none
	dd if=block of=/dev/vramswap0 bs=64k oflag=direct status=none
}
same_bytes() {
	dd if=/dev/vramswap0 of=found bs=64k count=64 iflag=direct status=none
	cmp block found
}

cat >slow-core <<'END'
#!/bin/sh
touch /tmp/test/dumping
sleep 1000
END
chmod +x slow-core
echo "|$PWD/slow-core" >/proc/sys/kernel/core_pattern

# It starts without standard files, so that what it is to keep could take their place.
cat >vramswapd-bare <<'END'
#!/bin/sh
exec vramswapd "$@" <&- >&- 2>&-
END
chmod +x vramswapd-bare

load_module
HELPER=$PWD/vramswapd-bare start_helper 0 64M
cookie=$(status_of cookie)
known_bytes

say "a crash, where cores are written by a program that takes its time"
for _ in 1 2; do
	worker=$(worker_of 0)
	kill -SEGV "$worker"
	wait_other_worker 0 "$worker" 20
	same_bytes
done
[ ! -e dumping ] || die "a core was dumped"

say "a worker that is stopped for good"
vramswapctl set 0 --io-timeout 2
vramswapctl set 0 --hold-timeout 20
worker=$(worker_of 0)
kill -STOP "$worker"
start=$SECONDS
same_bytes &
reader=$!
wait_other_worker 0 "$worker" 60
wait $reader || die "wrong bytes, or an error since the hold time was over"
say "replaced after $((SECONDS - start)) s"
assert_eq "$(status_of cookie)" "$cookie" "name of the contents"
assert_eq "$(helper_says 0 starts)" 1 "starts of the keeper"

say "another that takes the device between the two, and is stopped"
keeper=$(helper_says 0 pid)
worker=$(worker_of 0)
kill -STOP "$keeper"
kill -KILL "$worker"
wait_state held
sleep 1000 9<>/dev/vramswapc0 &
squatter=$!
wait_for "[ -e /proc/$squatter/fd/9 ]" 20
kill -STOP "$squatter"
kill -CONT "$keeper"
start=$SECONDS
wait_other_worker 0 "$worker" 60
say "replaced after $((SECONDS - start)) s"
same_bytes
status=0
wait "$squatter" || status=$?
assert_eq "$status" 137 "end of the process that sat on the device"
assert_eq "$(status_of cookie)" "$cookie" "name of the contents"

say "a module that is unloaded while contents are held"
keeper=$(helper_says 0 pid)
tell_helper 0 restart never
kill -STOP "$keeper"
kill -KILL "$(worker_of 0)"
wait_state held
wait_for unload_module 20
kill -CONT "$keeper"
wait_for "[ ! -d /proc/$keeper ]" 30
[ "$(helper_says 0 exit)" != 0 ] || die "the keeper counts the loss as success"
