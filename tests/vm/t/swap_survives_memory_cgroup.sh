# SPDX-License-Identifier: MIT
# A program that may use two thirds of the RAM that it fills verifies it in random order, squeezed by a memory cgroup.
# All that it swaps crosses the ring. The helper's store is locked memory of the guest. (SWAP_MIB=1536 is 1.5 GiB in 1
# GiB.)
# memory: 4G
# timeout: 900
# setting: SWAP_PASSES 1
# setting: SWAP_MIB 300
# shellcheck shell=bash

load_module
start_helper 0 "${SWAP_MIB}M"
swap_on
no_readahead
take_counters before
cg_run $((SWAP_MIB * 2 / 3))M swap_torture --size "${SWAP_MIB}M" --passes "$SWAP_PASSES" --procs 2 --json >torture.json || die "swap_torture: $?"
nothing_wrong torture.json
take_counters after
counters_agree before after $((SWAP_MIB / 3))
say "latency: read p50 $(stat_of operations.read.p50_ns) ns, p99 $(stat_of operations.read.p99_ns) ns;" \
	"write p50 $(stat_of operations.write.p50_ns) ns, p99 $(stat_of operations.write.p99_ns) ns"
swapoff /dev/vramswap0
stop_helper 0
unload_module
