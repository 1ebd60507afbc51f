# SPDX-License-Identifier: MIT
# Who sends one request after the other waits awake and takes the answers himself; who keeps many under way does not, nor
# does anyone if the parameter says so. Bytes are right either way, and a helper that dies meanwhile loses nothing.
# memory: 1G
# timeout: 300
# kernel-args: idle=poll
# shellcheck shell=bash

spin_us=/sys/module/vramswap/parameters/spin_us

# spins_of ENGINE DEPTH: how many of 4096 requests were waited for, all verified.
spins_of() {
	local before
	before=$(stat_of spins)
	fio --name=lone --filename=/dev/vramswap0 --direct=1 --rw=randwrite --bs=4k --size=8M --ioengine="$1" --iodepth="$2" \
		--verify=crc32c --verify_fatal=1 --do_verify=1 --output=fio.log || die "fio: $(tail -n 5 fio.log)"
	echo $(($(stat_of spins) - before))
}

load_module
start_helper 0 64M
# An emulated processor takes longer for everything.
echo 1000 >"$spin_us"
lone=$(spins_of psync 1)
deep=$(spins_of libaio 32)
echo 0 >"$spin_us"
never=$(spins_of psync 1)
say "requests waited for, of 4096: $lone one at a time, $deep with 32 under way, $never when told not to"
[ "$lone" -gt 400 ] || die "lone requests are not waited for"
[ "$deep" -lt $((lone / 2)) ] || die "requests beside others are waited for"
assert_eq "$never" 0 "requests waited for although spin_us is 0"

echo 1000 >"$spin_us"
fio --name=killed --filename=/dev/vramswap0 --direct=1 --rw=randrw --bs=4k --size=32M --ioengine=psync \
	--verify=crc32c --verify_fatal=1 --output=fio.log &
for _ in 1 2 3; do
	sleep 1
	kill_worker 0
done
wait $! || die "fio: $(tail -n 5 fio.log)"
stop_helper 0
unload_module
