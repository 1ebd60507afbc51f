# SPDX-License-Identifier: MIT
# Each fault of kmod/fault.h strikes once: what was asked for is refused, nothing is left behind (the debug kernel looks
# for leaks at the end), and asked again it succeeds. A list says which faults were struck; none may be missing.
# memory: 1G
# timeout: 300
# kernels: 7.2 debug kcsan
# module: faults
# shellcheck shell=bash

faults=/sys/module/vramswap/parameters/faults
: >struck

arm() { echo "$1" >$faults; }
struck() { awk -v name="$1" '$1 == name { print $3 }' $faults; }

# note NAME...: they have struck.
note() {
	local name
	for name in "$@"; do
		[ "$(struck "$name")" -gt 0 ] || die "fault $name has not struck"
		echo "$name" >>struck
	done
}

say "load"
for fault in workqueue sleep_watch chardev_region chardev_class genl device queues slots slots=1+1 tags disk add_disk chardev_name \
	chardev; do
	spec=$fault
	[[ $fault == *=* ]] || spec=$fault=1
	refused 'cannot allocate|memory' load_module faults="$spec"
	[ ! -e /sys/module/vramswap ] || die "the module is there in spite of fault $fault"
	! compgen -G '/dev/vramswap*' || die "fault $fault left a device"
	echo "${fault%%=*}" >>struck
done
# The second of two devices fails: the first stays.
load_module devices=2 faults=add_disk=1+1
assert_eq "$(vramswapctl status --json | jq -r .name | xargs)" vramswap0 "devices"
unload_module

load_module
say "devices made by netlink"
for fault in device queues slots tags disk add_disk chardev_name chardev; do
	arm $fault=1
	refused 'memory' vramswapctl add
	note $fault
done
assert_eq "$(vramswapctl status --json | jq -r .name | xargs)" vramswap0 "devices"
vramswapctl add
vramswapctl delete 1

say "a session"
session_faults=(session area_list area_list=1+2 area_page area_page=1+200 area_vmap area_vmap=1+2 channels contents
	attach_answer mmap mmap=1+3)

# no_session FAULT: it strikes a helper that comes.
no_session() {
	local spec=$1
	[[ $1 == *=* ]] || spec=$1=1
	arm "$spec"
	! chardev_probe --cycle 1 >probe.log 2>&1 || die "the probe noticed nothing of fault $1: $(cat probe.log)"
}

for fault in "${session_faults[@]}"; do
	no_session "$fault"
	note "${fault%%=*}"
	assert_eq "$(status_of state)" empty "state after fault $fault"
	chardev_probe --cycle 1 >/dev/null
done

# A session's pages are no objects that a leak detector knows: four times 200 pages, or four times one area, would be
# missing here. KASAN keeps freed memory back, so where it is at work this says nothing.
if [ ! -e /sys/kernel/debug/kmemleak ]; then
	settle_memory
	before=$(free_memory)
	for _ in 1 2 3 4; do
		for fault in "${session_faults[@]}"; do no_session "$fault"; done
	done
	settle_memory
	lost=$((before - $(free_memory)))
	say "free memory is $lost KiB less after $((4 * ${#session_faults[@]})) sessions that failed"
	[ $lost -lt 600 ] || die "pages are missing"
fi

say "answers and events"
arm reply=1
! vramswapctl stats 0 >/dev/null 2>&1 || die "stats with no memory for the answer"
arm reply_full=1
! vramswapctl stats 0 >/dev/null 2>&1 || die "stats with a full answer"
arm dump_full=1
vramswapctl status >/dev/null 2>&1 || true # the dump goes on in another message, or fails; it must end
for fault in reply reply_full; do
	arm $fault=1
	refused 'memory|message' vramswapctl add
	assert_eq "$(vramswapctl status --json | jq -r .name | xargs)" vramswap0 "devices after an add that was not answered"
done
arm event=1
vramswapctl add
arm event_full=1
vramswapctl delete 1
note reply reply_full dump_full event event_full

say "the data path"
start_helper 0 64M
cookie=$(status_of cookie)
vramswapctl set 0 --io-timeout 1
echo 1000 >/sys/module/vramswap/parameters/spin_us

# verified FAULT: writes, and reads all back, with many requests under way, or one after the other for those that strike
# where a submitter waits awake.
verified() {
	local engine=libaio
	[[ $1 != spin_* ]] || engine=psync
	fio --eta=never --name=faulty --filename=/dev/vramswap0 --ioengine=$engine --direct=1 --iodepth=16 --rw=randwrite \
		--bsrange=4k-64k --size=8M --verify=crc32c --verify_fatal=1 --do_verify=1 --output=fio.log || {
		cat fio.log
		die "fio: an I/O failed or a byte is wrong"
	}
	still_there
}

still_there() {
	wait_helper 0 ready
	wait_state live
	assert_eq "$(status_of cookie)" "$cookie" "name of the contents"
}

# has_struck FAULT BEFORE: with other lone requests, of the first of which a helper that sleeps has to be told, while the
# last of them are waited for awake.
has_struck() {
	[ "$(struck "$1")" -gt "$2" ] && return
	dd if=/dev/vramswap0 of=/dev/null bs=4k count=20 iflag=direct status=none || die "a read failed"
	[ "$(struck "$1")" -gt "$2" ]
}

for fault in doorbell lost_completion late_claim late_end duplicate die_request die_submit die_doorbell die_enter \
	die_claimed die_ended spin_late_claim spin_late_end spin_die_claimed spin_die_ended; do
	for passes in 0 3 40; do
		before=$(struck $fault)
		arm $fault=1+$passes
		verified $fault
		[ $passes -gt 3 ] || wait_for "has_struck $fault $before" 60
		arm $fault=0
		still_there
	done
	note $fault
	say "$fault: $(helper_says 0 starts) starts, $(stat_of replayed) requests sent again"
done

# A session's memory that somebody has pinned is not used again; a reserve that is not to be had is tried for again.
for fault in pinned reserve; do
	arm $fault=1
	kill_worker 0
	wait_for "at_least 1 struck $fault" 20
	note $fault
	verified $fault
done
stop_helper 0

awk '{ print $1 }' $faults | sort >all
sort -u struck >struck.sorted
missing=$(comm -23 all struck.sorted | xargs)
[ -z "$missing" ] || die "faults that no test has struck: $missing"
say "all $(wc -l <all) faults have struck"
unload_module
