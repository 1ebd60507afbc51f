# SPDX-License-Identifier: MIT
# Load, attach, start, write, read, stop, unload: a hundred times and more. No memory may be missing afterwards.
# memory: 1G
# timeout: 300
# shellcheck shell=bash

cycle() {
	insmod "$VRAMSWAP_KO"
	chardev_probe --cycle 1 >/dev/null
	unload_module
}

# With vramswapd, too, which takes longer.
helper_cycle() {
	load_module
	start_helper 0 16M
	dd if=/dev/zero of=/dev/vramswap0 bs=64k count=16 oflag=direct status=none
	stop_helper 0
	unload_module
}

# A helper that dies, and one that is not given its contents back.
killed_cycle() {
	load_module
	start_helper 0 16M
	dd if=/dev/zero of=/dev/vramswap0 bs=64k count=16 oflag=direct status=none
	kill_helper 0
	wait_helper 0 ready
	stop_helper 0
	unload_module
}

# KiB
memory_of() { awk -v name="$1:" '$1 == name { print $2 }' /proc/meminfo; }

# measure: lines NAME VALUE; what is in use, so that more is worse.
measure() {
	local name
	settle_memory
	echo "memory -$(free_memory)"
	for name in SUnreclaim VmallocUsed Percpu KernelStack; do
		echo "$name $(memory_of "$name")"
	done
	echo "disks $(find /sys/block /sys/class/bdi /sys/class/vramswap -maxdepth 1 -name '*vramswap*' | wc -l)"
	echo "workqueues $(find /sys/devices/virtual/workqueue -maxdepth 1 2>/dev/null | wc -l)"
}

fifty_cycles() {
	for _ in $(seq 47); do cycle; done
	helper_cycle
	for _ in $(seq 2); do killed_cycle; done
}

value() { sed -n "s/^$2 //p" "$1"; }

# leaked NAME MOST [UNIT]: a leak grows each time; what the kernel keeps for later does not.
leaked() {
	local first second
	first=$(($(value middle "$1") - $(value before "$1")))
	second=$(($(value after "$1") - $(value middle "$1")))
	say "$1: grown by $first, then by $second ${3-KiB} (now $(value after "$1"))"
	[ "$first" -le "$2" ] || [ "$second" -le "$2" ] || die "$1 grows by more than $2 ${3-KiB} in fifty cycles"
}

load_module # and what it depends on
unload_module
for _ in $(seq 10); do cycle; done
helper_cycle
killed_cycle
measure >before
fifty_cycles
measure >middle
fifty_cycles
measure >after

# A page that each cycle leaks is 200 KiB; one session's memory, leaked once, is 16 MiB.
leaked memory 600
leaked SUnreclaim 150
leaked VmallocUsed 64
leaked Percpu 64
leaked KernelStack 64
leaked disks 0 ""
leaked workqueues 0 ""
[ $(($(value after memory) - $(value before memory))) -lt 4096 ] || die "memory is missing"
