# The helper is killed again and again in the middle of I/O and of swapping. The service manager starts it anew with
# the descriptors that it stored; I/O waits meanwhile, none fails, and every byte is right.
# memory: 1500M
# timeout: 400
# shellcheck shell=bash

# kill_in_the_middle TIMES PID FIELD BYTES: kills the helper each time that so many bytes more have been moved.
kill_in_the_middle() {
	local i goal starts
	for i in $(seq "$1"); do
		goal=$(($(stat_of "$3") + $4))
		wait_for "at_least $goal stat_of $3" 60
		[ -d "/proc/$2" ] || die "the workload ended before the helper was killed $1 times"
		starts=$(helper_says 0 starts)
		kill_helper 0
		wait_for "at_least $((starts + 1)) helper_says 0 starts" 30
		wait_helper 0 ready
		assert_eq "$(status_of state)" live "state after restart $i"
	done
}

load_module
start_helper 0 512M
cookie=$(status_of cookie)

say "killed in the middle of direct I/O"
fio --eta=never --name=held --filename=/dev/vramswap0 --ioengine=libaio --direct=1 --iodepth=32 --rw=randwrite --bsrange=4k-128k \
	--size=192M --verify=crc32c --verify_fatal=1 --do_verify=1 --loops=2 --output=fio.log &
fio=$!
kill_in_the_middle 4 $fio operations.write.bytes $((24 << 20))
wait $fio || {
	cat fio.log
	die "fio: an I/O failed or a byte is wrong"
}

say "killed in the middle of swapping"
swap_on
cg_run 192M sh -c 'echo $$ >torture.pid; exec swap_torture --size 320M --procs 2 --passes 1000 --json' \
	>torture.json 2>torture.log &
torture=$!
wait_for "[ -s torture.pid ]" 20
kill_in_the_middle 8 "$(cat torture.pid)" operations.read.bytes $((16 << 20))
kill -TERM "$(cat torture.pid)"
wait $torture || {
	tail torture.log
	die "swap_torture: $?"
}
nothing_wrong torture.json
swapoff /dev/vramswap0

say "killed $(($(helper_says 0 starts) - 1)) times; $(stat_of replayed) requests were sent again;" \
	"longest I/O under $(stat_of operations.write.all_below_ns) ns"
assert_eq "$(helper_says 0 starts)" 13 "starts of the helper"
assert_eq "$(status_of cookie)" "$cookie" "name of the contents"
assert_eq "$(stat_of operations.write.errors)" 0 "failed writes"
assert_eq "$(stat_of operations.read.errors)" 0 "failed reads"
[ "$(stat_of replayed)" -gt 0 ] || die "no request was under way at any of the kills"
stop_helper 0
unload_module
