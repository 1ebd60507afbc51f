# SPDX-License-Identifier: MIT
# With no helper back within the hold time I/O fails with an error, nothing hangs, no new swapon is taken, and once its
# users are gone the device can be used again.
# memory: 1500M
# timeout: 400
# shellcheck shell=bash

# Some seconds are granted to a slow machine: the hold time is 2 s.
lose_helper() {
	tell_helper 0 restart never
	tell_helper 0 kill
	wait_state held 0 5
	wait_state failed 0 10
}

load_module
no_readahead
start_helper 0 256M
vramswapctl set 0 --hold-timeout 2
assert_eq "$(status_of hold_timeout_ms)" 2000 "hold time"

say "writes in flight"
dd if=/dev/urandom of=/dev/vramswap0 bs=64k count=64 oflag=direct status=none
fio --eta=never --name=fails --filename=/dev/vramswap0 --ioengine=libaio --direct=1 --iodepth=16 --rw=randwrite \
	--bs=4k --time_based --runtime=100 --output=fio.log --output-format=json &
fio=$!
wait_for "at_least 2000 stat_of operations.write.requests" 30
lose_helper
! wait $fio || die "fio has seen no error"
# What fio prints before the JSON is not JSON.
error=$(sed -n '/^{/,$p' fio.log | jq '.jobs[0].error')
say "fio ended with errno $error"
assert_eq "$error" 5 "fio's error (EIO)"
assert_eq "$(status_of openers)" 0 "openers"
assert_eq "$(cat /sys/block/vramswap0/size)" 0 "capacity of a failed device"
# Past the end of an empty device: a read finds nothing, a write no space, a swapon no header.
assert_eq "$(dd if=/dev/vramswap0 bs=4k count=1 iflag=direct status=none | wc -c)" 0 "bytes read of lost contents"
refused 'space' dd if=/dev/zero of=/dev/vramswap0 bs=4k count=1 oflag=direct
refused 'invalid|error|read' swapon /dev/vramswap0
[ "$(stat_of operations.write.errors)" -gt 0 ] || die "no failed write was counted"

say "a new helper starts with new contents"
tell_helper 0 drop-fds
tell_helper 0 start
wait_helper 0 ready
assert_eq "$(status_of state)" live state
assert_eq "$(status_of used)" 0 "bytes in use"

say "pages in swap"
swap_on
start_torture 64M --size 80M --passes 1000
wait_for "at_least 2000 vmstat_of pswpin" 60
lose_helper
torture_lost_pages

say "its users must go first"
tell_helper 0 drop-fds
tell_helper 0 start
wait_helper 0 down
tail -n 3 /run/helper-0/log
grep -qi 'swapoff' /run/helper-0/log || die "the helper does not say that swapoff comes first"
swapoff /dev/vramswap0
refused 'swapon' swapon /dev/vramswap0

tell_helper 0 start
wait_helper 0 ready
swap_on
cg_run 64M swap_torture --size 80M --passes 1 --json >torture.json || die "swap_torture: $?"
nothing_wrong torture.json
swapoff /dev/vramswap0
stop_helper 0
unload_module
