# SPDX-License-Identifier: MIT
# A processor goes off line at once, though requests that were sent from it are held for a dead helper: who has to wait
# for that holds up all that starts services and makes cgroups. The requests are answered by the successor, or fail with the
# end of the hold time.
# memory: 1G
# timeout: 150
# shellcheck shell=bash

cpu=/sys/devices/system/cpu/cpu1/online
[ -e "$cpu" ] || skip "there is no second processor that can go off line"

# same_bytes: read by processor 1.
same_bytes() {
	taskset -c 1 dd if=/dev/vramswap0 of=found bs=64k count=16 iflag=direct status=none && cmp written found
}

# die_unattended: helper and keeper die, and their service manager is stopped.
die_unattended() {
	kill -STOP "$manager"
	kill -KILL "$(helper_says 0 pid)" "$(worker_of 0)"
	wait_state held
}

# go_offline: what else would wait for it does not either.
go_offline() {
	rm -f went
	(echo 0 >"$cpu" && touch went) &
	wait_for "[ -e went ]" 20
	assert_eq "$(status_of state)" held "state of vramswap0"
	mkdir /sys/fs/cgroup/new
	rmdir /sys/fs/cgroup/new
	kill -0 $reader || die "the request was not held"
}

load_module devices=1
start_helper 0 64M
manager=$(</run/helper-0/manager)
dd if=/dev/urandom of=written bs=64k count=16 status=none
dd if=written of=/dev/vramswap0 bs=64k oflag=direct status=none

say "a successor comes"
die_unattended
same_bytes &
reader=$!
wait_for "at_least 1 stat_of inflight" 20
go_offline
kill -CONT "$manager"
wait_state live
wait $reader || die "wrong bytes"
cmp written <(dd if=/dev/vramswap0 bs=64k count=16 iflag=direct status=none)
echo 1 >"$cpu"
same_bytes || die "wrong bytes"

say "nobody comes"
vramswapctl set 0 --hold-timeout 20
die_unattended
same_bytes 2>reader.log &
reader=$!
wait_for "at_least 1 stat_of inflight" 20
go_offline
! wait $reader || die "bytes were read that nobody had"
grep -q "Input/output error" reader.log || die "$(cat reader.log)"
echo 1 >"$cpu"
