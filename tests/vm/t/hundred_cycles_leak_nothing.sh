# SPDX-License-Identifier: MIT
# Load, attach, start, write, read, stop, unload: a hundred times and more. No memory may be missing afterwards.
# memory: 1G
# timeout: 300
# shellcheck shell=bash

cycle() {
	load_module
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

settle() {
	sync
	echo 3 >/proc/sys/vm/drop_caches
	sleep 2 # the kernel frees modules, queues and per-CPU memory later, and tells nobody when it is done
}

# measure: lines NAME VALUE
measure() {
	local name
	settle
	for name in MemAvailable SUnreclaim VmallocUsed Percpu KernelStack; do
		echo "$name $(memory_of "$name")"
	done
	echo "disks $(find /sys/block /sys/class/bdi /sys/class/misc -maxdepth 1 -name '*vramswap*' | wc -l)"
	echo "workqueues $(find /sys/devices/virtual/workqueue -maxdepth 1 2>/dev/null | wc -l)"
}

before() { sed -n "s/^$1 //p" before; }
after() { sed -n "s/^$1 //p" after; }

# grown NAME MOST [UNIT]: by how much it may have grown.
grown() {
	say "$1: $(before "$1") ${3-KiB} before, $(after "$1") ${3-KiB} after"
	[ $(($(after "$1") - $(before "$1"))) -le "$2" ] || die "$1 has grown by more than $2 ${3-KiB}"
}

for _ in $(seq 10); do cycle; done
helper_cycle
killed_cycle
measure >before
for _ in $(seq 95); do cycle; done
for _ in $(seq 2); do helper_cycle; done
for _ in $(seq 3); do killed_cycle; done
measure >after

# One session's memory, leaked once, is 16 MiB; a page leaked in each cycle would be 400 KiB.
grown SUnreclaim 256
grown VmallocUsed 64
grown Percpu 64
grown KernelStack 64
grown disks 0 ""
grown workqueues 0 ""
say "MemAvailable: $(before MemAvailable) KiB before, $(after MemAvailable) KiB after 100 cycles"
[ $(($(before MemAvailable) - $(after MemAvailable))) -lt 6144 ] || die "memory is missing"
