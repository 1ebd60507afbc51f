# SPDX-License-Identifier: MIT
# stress-ng flips each bit of more memory than it may use, and verifies them all, with nothing but our swap. Each of two
# workers has 130 % of what a cgroup gives to both, so that none can do its work without swap while the other one waits.
# (STRESS_MIB=0: 130 % of the guest's memory, for both; GUEST_MEMORY=1200M is 1 GiB to live in, and half an hour.)
# ivshmem: 1G
# timeout: 1200
# setting: GUEST_MEMORY 512M
# setting: STRESS_MIB 8
# shellcheck shell=bash

# With so little memory the kernels that watch call the OOM killer: page faults of stress-ng find all of its pages active,
# while nothing is being written. They do it with null_blk in our place, too, and oftener.
[[ $STRESS_MIB == 0 || ! $KERNEL =~ ^(debug|kcsan|kasan)$ ]] || skip "this kernel has too little memory in a group so small"

load_module
start_helper 0 1G --store "$(ivshmem_path)"
swap_on
no_readahead
take_counters before
if [ "$STRESS_MIB" -gt 0 ]; then
	memory_max=${STRESS_MIB}M each=$((STRESS_MIB * 130 / 100))
else
	memory_max=max each=$(awk '/^MemTotal/ { print int($2 / 1024 * 1.3 / 2) }' /proc/meminfo)
fi
# A worker fills its memory, walks over it eight times to flip bits, and reads it all once more. It counts an operation
# for each 32 KiB filled or flipped, and leaves without verifying when it has done as many as asked for: so a MiB more.
operations=$((2 * (9 * each + 1) * 32))
# Without --vm-madvise it gives random advice on its memory. One kind of it, MADV_POPULATE_READ, swaps everything in under
# the lock of the address space: minutes in an emulated guest, in which a task that waits for the lock counts as hung.
cg_run "$memory_max" stress-ng --vm 2 --vm-bytes $((2 * each))M --vm-method flip --vm-madvise normal --vm-ops "$operations" \
	--verify --timeout 0 --metrics-brief >stress.log 2>&1 || die "stress-ng: $?, $(tail -n 3 stress.log)"
cat stress.log
take_counters after
grep -q 'successful run completed' stress.log || die "stress-ng failed"
grep -qE "vm +$operations " stress.log || die "stress-ng did not flip and verify everything"
! grep -qiE 'fail:|detected .* error' stress.log || die "stress-ng found wrong bits"
counters_agree before after $((each * 4))
assert_eq "$(vmstat_of oom_kill)" 0 "processes killed for lack of memory"
swapoff /dev/vramswap0
stop_helper 0
unload_module
