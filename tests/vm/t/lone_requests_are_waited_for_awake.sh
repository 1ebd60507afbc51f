# SPDX-License-Identifier: MIT
# Who sends one request after the other waits awake and takes the answers himself, also where other programs run for a
# moment now and then, and where the helper has to be woken first; who keeps many under way does not, nor does anyone if
# the parameter says so. Bytes are right either way; a helper that dies meanwhile loses nothing, and one whose answer
# cannot be right loses its session as soon as a waiting submitter sees that.
# memory: 1G
# timeout: 300
# parallel: yes
# module: faults
# kernel-args: idle=poll
# shellcheck shell=bash

spin_us=/sys/module/vramswap/parameters/spin_us
faults=/sys/module/vramswap/parameters/faults

# write_and_verify ENGINE DEPTH: 2048 requests each way.
write_and_verify() {
	fio --eta=never --name=lone --filename=/dev/vramswap0 --direct=1 --rw=randwrite --bs=4k --size=8M --ioengine="$1" --iodepth="$2" \
		--verify=crc32c --verify_fatal=1 --do_verify=1 --output=fio.log || die "fio: $(tail -n 5 fio.log)"
}

# spins_of ENGINE DEPTH: how many of 4096 requests were waited for.
spins_of() {
	local before
	before=$(stat_of spins)
	write_and_verify "$@"
	echo $(($(stat_of spins) - before))
}

# share_waited_for [DEVICE [OPTION...]]: how many of a hundred lone reads are waited for, for five seconds. Options: fio's.
share_waited_for() {
	local device=${1:-0} spins requests
	spins=$(stat_of spins "$device") requests=$(awk '{ print $1 }' "/sys/block/vramswap$device/stat")
	fio --eta=never --name=share --filename="/dev/vramswap$device" --direct=1 --rw=randread --bs=4k --size=8M --norandommap --ioengine=psync \
		--time_based --runtime=5 --output=fio.log "${@:2}" || die "fio: $(tail -n 5 fio.log)"
	spins=$(($(stat_of spins "$device") - spins)) requests=$(($(awk '{ print $1 }' "/sys/block/vramswap$device/stat") - requests))
	echo $((100 * spins / requests))
}

# Small programs that take a processor ten times a second.
disturb() {
	while :; do
		cat /proc/vmstat
		sleep 0.1
	done >/dev/null
}

# ticks_of PROCESS: processor time that it and its children had, hundredths of a second. ticks_now: since boot.
ticks_of() { awk '{ print $14 + $15 + $16 + $17 }' "/proc/$1/stat"; }
ticks_now() { awk '{ print int(100 * $1) }' /proc/uptime; }

# On kernels that watch what they run, most answers come too late.
case $KERNEL in
debug | kcsan | kasan) watched=yes least=1 some=1 ;;
*) watched=no least=400 some=50 ;;
esac

load_module devices=2
start_helper 0 64M
# An emulated processor takes longer for everything.
echo 1000 >"$spin_us"
lone=$(spins_of psync 1)
deep=$(spins_of libaio 32)
echo 0 >"$spin_us"
never=$(spins_of psync 1)
say "requests waited for, of 4096: $lone one at a time, $deep with 32 under way, $never when told not to"
[ "$lone" -ge $least ] || die "lone requests are not waited for"
[ $((2 * deep)) -lt "$lone" ] || die "a task that keeps many requests under way is made to wait for them"
assert_eq "$never" 0 "requests waited for although spin_us is 0"

echo 1000 >"$spin_us"
if [ $watched = no ]; then
	# Helper and submitter that the disturbance pushes onto one processor must part again.
	alone=$(share_waited_for)
	start=$(ticks_now)
	disturb &
	disturber=$!
	disturbed=$(share_waited_for)
	taken=$((100 * $(ticks_of $disturber) / ($(ticks_now) - start)))
	kill $disturber
	say "reads waited for: $alone % alone, $disturbed % while other programs take $taken % of a processor"
	# A slow machine has those programs run half of the time, and then there is nobody to wait for.
	[ $taken -gt 30 ] || [ $((10 * disturbed)) -ge $((8 * alone)) ] || die "helper and submitter stay on one processor"
fi

if [ $watched = no ]; then
	# Also by who has had to wake the helper. What fio does between two reads lets it fall asleep.
	start_helper 1 64M --idle-spin 0
	woken=$(share_waited_for 1 --thinktime=500)
	doorbells=$(stat_of doorbells 1) requests=$(stat_of operations.read.requests 1)
	say "reads waited for where the helper always sleeps: $woken %; $doorbells of $requests have woken it"
	[ $((10 * doorbells)) -ge $((9 * requests)) ] || die "the helper does not sleep: this proves nothing"
	[ "$woken" -ge 20 ] || die "who wakes the helper does not wait awake"
	stop_helper 1
fi

(while [ ! -e enough ]; do write_and_verify psync 1; done) &
fio=$!
for _ in 1 2 3; do
	before=$(stat_of spins)
	wait_for "at_least $((before + some)) stat_of spins" 60
	kill_worker 0
done
before=$(stat_of spins)
wait_for "at_least $((before + some)) stat_of spins" 60
worker=$(worker_of 0)
echo duplicate=1 >"$faults"
wait_other_worker 0 "$worker"
grep -q 'broke the ring' <(dmesg) || die "a wrong answer did not end the session"
touch enough
wait $fio || die "fio: $(tail -n 5 fio.log)"
stop_helper 0
ring_probe one_answer_is_late
unload_module
