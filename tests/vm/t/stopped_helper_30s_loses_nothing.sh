# SPDX-License-Identifier: MIT
# Helpers are stopped (SIGSTOP) for 30 s in the middle of swapping and of direct I/O, then go on. One is within the I/O
# timeout and is just waited for; the other is beyond it, so its session ends, and it comes back for its contents.
# memory: 1500M
# timeout: 300
# shellcheck shell=bash

load_module
vramswapctl add --index 1
start_helper 0 256M
start_helper 1 128M
vramswapctl set 0 --io-timeout 90
vramswapctl set 1 --io-timeout 4

swap_on
start_torture 96M --size 160M --passes 1000
fio --eta=never --name=stopped --filename=/dev/vramswap1 --ioengine=libaio --direct=1 --iodepth=16 --rw=randwrite \
	--bs=4k --size=64M --verify=crc32c --verify_fatal=1 --do_verify=1 --loops=3 --output=fio.log &
fio=$!
wait_for "at_least 1000 vmstat_of pswpin" 60
wait_for "at_least 1000 stat_of operations.write.requests 1" 30

workers=("$(worker_of 0)" "$(worker_of 1)")
kill -STOP "${workers[@]}"
stopped=$SECONDS
wait_state held 1 20
say "after $((SECONDS - stopped)) s the second device is held, for its helper is silent"
while [ $((SECONDS - stopped)) -lt 30 ]; do
	sleep 1
done
assert_eq "$(status_of state 0)" live "state of the first device"
assert_eq "$(status_of state 1)" held "state of the second device"
[ "$(stat_of inflight 0)" -gt 0 ] || die "the first device had no I/O to wait for"
[ "$(stat_of inflight 1)" -gt 0 ] || die "the second device had no I/O to wait for"
[ -d "/proc/$fio" ] || die "fio ended while its device stood still"
reads=$(stat_of operations.read.requests 0)

kill -CONT "${workers[@]}"
wait_state live 1 30
wait_for "at_least $((reads + 1000)) stat_of operations.read.requests 0" 60
torture_lost_nothing
wait $fio || {
	cat fio.log
	die "fio: an I/O failed or a byte is wrong"
}
say "the second device's requests sent again: $(stat_of replayed 1)"
for device in 0 1; do
	assert_eq "$(stat_of operations.write.errors $device)" 0 "failed writes of vramswap$device"
	assert_eq "$(stat_of operations.read.errors $device)" 0 "failed reads of vramswap$device"
done
assert_eq "$(stat_of replayed 0)" 0 "requests of the first device sent again"

swapoff /dev/vramswap0
stop_helper 0
stop_helper 1
unload_module
