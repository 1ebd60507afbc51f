# SPDX-License-Identifier: MIT
# A helper that is asked to stop while its device is in use says so and goes on; after swapoff it stops.
# memory: 1500M
# timeout: 400
# shellcheck shell=bash

refusals() { grep -c 'in use.*still serving' /run/helper-0/log || true; }

# asked_in_vain: SIGTERM must have no effect but a sentence, which comes when the helper has tried for a while.
asked_in_vain() {
	local pid before
	pid=$(helper_says 0 pid)
	before=$(refusals)
	tell_helper 0 signal TERM
	wait_for "at_least $((before + 1)) refusals" 20
	say "vramswapd: $(helper_says 0 status)"
	assert_eq "$(helper_says 0 pid)" "$pid" "the helper's pid"
	assert_eq "$(status_of state)" live state
}

load_module
start_helper 0 256M
swap_on
start_torture 64M --size 128M --passes 1000
wait_for "at_least 1000 vmstat_of pswpin" 60
asked_in_vain
reads=$(stat_of operations.read.requests)
wait_for "at_least $((reads + 1000)) stat_of operations.read.requests" 60
torture_lost_nothing
swapoff /dev/vramswap0

mkfs.ext4 -q /dev/vramswap0
mkdir -p /mnt/busy
mount /dev/vramswap0 /mnt/busy
head -c 4M /dev/urandom >/mnt/busy/file
sync -f /mnt/busy
asked_in_vain
umount /mnt/busy
e2fsck -fn /dev/vramswap0

stop_helper 0
assert_eq "$(status_of state)" empty state
assert_eq "$(cat /sys/block/vramswap0/size)" 0 capacity
unload_module
