# SPDX-License-Identifier: MIT
# Everything that changes a device's life, at the same time and under I/O: swapon and swapoff, stops and starts of the
# helper, devices that come and go, processors that go off line, freezing, and the module's unloading in between.
# memory: 1500M
# timeout: 370
# setting: RACE_SECONDS 30
# parallel: yes
# shellcheck shell=bash

# forever COMMAND...: again and again until the end; what the command says is kept, and how often all of it went well.
forever() {
	local good=0
	while [ ! -e over ]; do
		! "$@" || good=$((good + 1))
	done >>"races.log" 2>&1
	echo $good >"$1.good"
}

# (In what follows each command has to go well for the next: there is no set -e where the result is looked at.)
swap_on_and_off() {
	swapon /dev/vramswap0 || return
	cg_run 48M timeout 5 swap_torture --size 64M --passes 1 --json >>torture.json
	swapoff /dev/vramswap0
}

processors() {
	echo 0 >/sys/devices/system/cpu/cpu1/online && sleep 0.2 &&
		echo 1 >/sys/devices/system/cpu/cpu1/online && sleep 0.5
}

come_and_go() {
	vramswapctl add --index 5 --queues 2 --slots 8 && chardev_probe --device 5 --cycle 1 && vramswapctl delete 5
}

freeze() {
	echo 1 >/sys/fs/cgroup/frozen/cgroup.freeze && sleep 0.3 &&
		echo 0 >/sys/fs/cgroup/frozen/cgroup.freeze && sleep 0.5
}

look() {
	vramswapctl status --json && vramswapctl stats 1 --json && vramswapctl set 1 --io-timeout 20 &&
		cat /sys/block/vramswap1/stat
}

kills() {
	kill_helper 1 && wait_helper 1 ready && kill_worker 1 && sleep 0.5
}

# An orderly stop waits until nobody has the device open, and takes the next one's capacity away.
stop_and_start() {
	tell_helper 2 stop && wait_helper 2 down && tell_helper 2 start && wait_helper 2 ready
}

use() {
	dd if=/dev/urandom of=used bs=64k count=4 status=none && dd if=used of=/dev/vramswap2 bs=64k oflag=direct status=none
}

load_module devices=3
start_helper 0 256M
start_helper 1 64M
start_helper 2 16M
mkswap /dev/vramswap0 >/dev/null
mkdir /sys/fs/cgroup/frozen
(
	echo "$BASHPID" >/sys/fs/cgroup/frozen/cgroup.procs
	while [ ! -e over ]; do
		fio --eta=never --name=raced --filename=/dev/vramswap1 --ioengine=libaio --direct=1 --iodepth=16 --rw=randwrite \
			--bsrange=4k-64k --size=16M --verify=crc32c --verify_fatal=1 --do_verify=1 --output=fio.log ||
			{ cp fio.log fio.failed; exit 1; }
		fio_rounds=$((${fio_rounds:-0} + 1))
		echo "$fio_rounds" >fio.rounds
	done
) &
io=$!
kinds=(swap_on_and_off processors come_and_go freeze look kills stop_and_start use)
races=()
for race in "${kinds[@]}"; do
	forever "$race" &
	races+=($!)
done
end=$((SECONDS + RACE_SECONDS))
while [ "$SECONDS" -lt "$end" ]; do
	refused 'in use|busy' rmmod vramswap
	sleep 2
done
touch over
wait "${races[@]}"
for race in "${kinds[@]}"; do
	say "$race: $(cat "$race.good") times"
	[ "$(cat "$race.good")" -gt 0 ] || {
		tail -n 20 races.log
		die "$race has not come to its end once"
	}
done
wait $io || {
	cat fio.failed
	die "fio: an I/O failed or a byte is wrong"
}
swapoff /dev/vramswap0 2>/dev/null || true
say "$(cat fio.rounds) rounds of fio, $(helper_says 1 starts) starts of its helper, $(wc -l <torture.json) swap tortures"
assert_eq "$(jq -s 'map(.wrong + .lost) | add' torture.json)" 0 "wrong and lost pages"
wait_helper 1 ready
wait_helper 2 ready
stop_helper 0
stop_helper 1
stop_helper 2
unload_module

say "load, attach, kill and unload against each other"
for _ in $(seq 5); do
	load_module
	timeout 2 chardev_probe --cycle 1000 >/dev/null 2>&1 &
	probe=$!
	for _ in $(seq 10); do
		! rmmod vramswap 2>/dev/null || load_module
	done
	kill -KILL $probe 2>/dev/null || true
	wait $probe 2>/dev/null || true
	wait_for "rmmod vramswap 2>/dev/null || [ ! -e /sys/module/vramswap ]" 20
done
