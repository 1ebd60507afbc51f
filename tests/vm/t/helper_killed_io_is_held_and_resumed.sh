# SPDX-License-Identifier: MIT
# The helper is killed again and again in the middle of I/O and of swapping: its worker alone, for which the keeper
# starts another, and both, which the service manager starts anew with the descriptors that it stored. I/O waits
# meanwhile, none fails, and every byte is right.
# memory: 1500M
# timeout: 900
# shellcheck shell=bash

# kill_in_the_middle TIMES FIELD BYTES: kills the helper each time that so many bytes more have been moved, and its
# worker in between.
kill_in_the_middle() {
	local i starts
	for i in $(seq "$1"); do
		wait_for "at_least $(($(stat_of "$2") + $3)) stat_of $2" 60
		kill_worker 0
		wait_for "at_least $(($(stat_of "$2") + $3)) stat_of $2" 60
		starts=$(helper_says 0 starts)
		kill_helper 0
		wait_for "at_least $((starts + 1)) helper_says 0 starts" 30
		wait_helper 0 ready
		assert_eq "$(status_of state)" live "state after restart $i"
	done
}

# Writes and verifies until there is a file "enough".
write_and_verify() {
	while [ ! -e enough ]; do
		fio --eta=never --name=held --filename=/dev/vramswap0 --ioengine=libaio --direct=1 --iodepth=32 \
			--rw=randwrite --bsrange=4k-128k --size=64M --verify=crc32c --verify_fatal=1 --do_verify=1 \
			--output=fio.log
	done
}

load_module
start_helper 0 256M
cookie=$(status_of cookie)

say "killed in the middle of direct I/O"
write_and_verify &
fio=$!
kill_in_the_middle 2 operations.write.bytes $((4 << 20))
touch enough
wait $fio || {
	cat fio.log
	die "fio: an I/O failed or a byte is wrong"
}

say "killed in the middle of swapping"
swap_on
start_torture 128M --size 208M --procs 2 --passes 1000
kill_in_the_middle 4 operations.read.bytes $((2 << 20))
torture_lost_nothing
swapoff /dev/vramswap0

say "$(grep -c 'kept for the next' /run/helper-0/log) workers killed, $(($(helper_says 0 starts) - 1)) helpers; $(stat_of replayed) requests were sent again;" \
	"longest I/O under $(stat_of operations.write.all_below_ns) ns"
assert_eq "$(helper_says 0 starts)" 7 "starts of the helper"
assert_eq "$(status_of cookie)" "$cookie" "name of the contents"
assert_eq "$(stat_of operations.write.errors)" 0 "failed writes"
assert_eq "$(stat_of operations.read.errors)" 0 "failed reads"
[ "$(stat_of replayed)" -gt 0 ] || die "no request was under way at any of the kills"
stop_helper 0
unload_module
