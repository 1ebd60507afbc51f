# SPDX-License-Identifier: MIT
# A program that may use 1 GiB of RAM fills 1.5 GiB and verifies it in random order, squeezed by a memory cgroup. All
# that it swaps crosses the ring. The helper's store is locked memory of the guest.
# memory: 4G
# timeout: 900
# setting: SWAP_PASSES 1
# shellcheck shell=bash

load_module
start_helper 0 1G
swap_on
no_readahead
take_counters before
cg_run 1G swap_torture --size 1536M --passes "$SWAP_PASSES" --procs 2 --json >torture.json || die "swap_torture: $?"
nothing_wrong torture.json
take_counters after
counters_agree before after 512
say "latency: read p50 $(stat_of operations.read.p50_ns) ns, p99 $(stat_of operations.read.p99_ns) ns;" \
	"write p50 $(stat_of operations.write.p50_ns) ns, p99 $(stat_of operations.write.p99_ns) ns"
swapoff /dev/vramswap0
stop_helper 0
unload_module
