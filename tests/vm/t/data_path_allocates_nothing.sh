# SPDX-License-Identifier: MIT
# In steady state nothing on the way of a page allocates memory: no call in the module, nothing in the helper's threads,
# and these make no system call but ENTER. Seen by the kernel's own tracepoints while a cgroup swaps.
# memory: 1500M
# timeout: 400
# shellcheck shell=bash

tracefs=/sys/kernel/tracing

# threads_filter FIELD: the helper's threads, as a filter.
threads_filter() {
	local task
	for task in /proc/"$(helper_says 0 pid)"/task/* /proc/"$(worker_of 0)"/task/*; do
		printf ' || %s == %s' common_pid "${task##*/}"
	done | cut -c 5-
}

# none KIND PATTERN [EXCEPT]: the trace has no such line.
none() {
	local count
	{ grep -E "$2" trace || true; } | { grep -vE "${3:-^$}" || true; } >found
	count=$(wc -l <found)
	[ "$count" = 0 ] || {
		head -n 20 found
		die "$count $1"
	}
}

# module_filter: an address in the module's code. What calls kmalloc from there allocates for us.
module_filter() {
	local start size
	read -r size start < <(awk '$1 == "vramswap" { print $2, $6 }' /proc/modules)
	printf 'call_site >= %s && call_site < 0x%x' "$start" $((start + size))
}

# watch EVENT FILTER
watch() {
	[ -d "$tracefs/events/$1" ] || return 0
	echo "$2" >"$tracefs/events/$1/filter"
	echo 1 >"$tracefs/events/$1/enable"
}

# events_of PATTERN: lines of the trace.
events_of() { grep -cE "$1" trace || true; }

load_module
start_helper 0 128M
swap_on
start_torture 48M --size 96M --procs 2 --passes 1000
wait_for "at_least 2000 vmstat_of pswpin" 60

threads=$(threads_filter)
module=$(module_filter)
for event in kmalloc kmem_cache_alloc kmalloc_node kmem_cache_alloc_node; do
	watch kmem/$event "$threads || ($module)"
done
watch kmem/mm_page_alloc "$threads"
watch raw_syscalls/sys_enter "$threads"
before=$(stat_of operations.write.requests)
echo >$tracefs/trace
echo 1 >$tracefs/tracing_on
wait_for "at_least $((before + 1000)) stat_of operations.write.requests" 120
echo 0 >$tracefs/tracing_on
# Linux 7's slab allocator, given something back, may want a new box to put it in, at once or not at all. A kernel that
# watches its objects fills its own store of notes (fill_pool) in whoever's time.
grep -vE 'call_site=(__pcs_|fill_pool)' $tracefs/trace >trace
echo 0 >$tracefs/events/enable

torture_lost_nothing

pages=$(($(stat_of operations.write.requests) - before))
enters=$(events_of 'sys_enter: NR 16 ')
say "$pages writes and their reads: $enters times ENTER, $(events_of 'sys_enter: NR') system calls," \
	"$(events_of ': (kmalloc|kmem_cache_alloc|mm_page_alloc)') allocations"
[ "$enters" -gt 100 ] || die "the trace shows no helper at work: $(head -n 30 trace)"
none "allocations" ': (kmalloc|kmem_cache_alloc|mm_page_alloc)'
# 16: ioctl; 35 and 230: a nap while the engine takes long.
none "other system calls" 'sys_enter: NR' 'NR (16|35|230) '

# Were allocations seen at all? Opening the control device makes the module allocate.
echo >$tracefs/trace
watch kmem/kmalloc "$module"
echo 1 >$tracefs/tracing_on
(: </dev/vramswapc0) 2>/dev/null || true
echo 0 >$tracefs/tracing_on
grep -q ': kmalloc' $tracefs/trace || die "the trace does not show an allocation that was made"
echo 0 >$tracefs/events/enable
swapoff /dev/vramswap0
stop_helper 0
unload_module
