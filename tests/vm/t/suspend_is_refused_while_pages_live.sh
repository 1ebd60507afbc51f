# SPDX-License-Identifier: MIT
# The system does not go to sleep while the device holds what sleep would lose, and says why; else it does.
# memory: 1G
# timeout: 400
# shellcheck shell=bash

[ -w /sys/power/pm_test ] || skip "this kernel has no /sys/power/pm_test (CONFIG_PM_DEBUG)"
echo freezer >/sys/power/pm_test
# How long it stays "asleep", seconds.
[ ! -w /sys/module/suspend/parameters/pm_test_delay ] || echo 1 >/sys/module/suspend/parameters/pm_test_delay

read -ra states </sys/power/state
say "kinds of sleep: ${states[*]}"

sleep_as() { echo "$1" >/sys/power/state; }

sleeps() {
	local state
	for state in "${states[@]}"; do
		[ "$state" != disk ] || continue # needs a place to put an image
		sleep_as "$state" || die "'$state' was refused, though nothing is in the way: $1"
	done
	say "sleeps: $1"
}

stays_awake() {
	local state
	for state in "${states[@]}"; do
		refused 'busy' sleep_as "$state"
	done
	dmesg | tail -n 20 | grep -i 'vramswap.*\(sleep\|suspend\)' || die "the kernel does not say why"
	say "stays awake: $1"
}

load_module
sleeps "no helper"
start_helper 0 64M
sleeps "a helper, but nothing stored"

dd if=/dev/urandom of=block bs=64k count=16 status=none
dd if=block of=/dev/vramswap0 bs=64k oflag=direct status=none
stays_awake "blocks are in use"
cmp -n $((1 << 20)) block /dev/vramswap0

tell_helper 0 restart never
kill_helper 0
wait_state held
stays_awake "blocks are in use and held"
tell_helper 0 start
wait_helper 0 ready
cmp -n $((1 << 20)) block /dev/vramswap0

blkdiscard /dev/vramswap0
sleeps "all blocks discarded"
stop_helper 0
unload_module
sleeps "no module"
