# SPDX-License-Identifier: MIT
# A guest with about 1 GiB of RAM to live in, and nothing but our swap, fills 1.5 GiB and verifies it in random order.
# The helper's store lies outside the guest's RAM, as a GPU's does: in a PCI BAR.
# memory: 1200M
# ivshmem: 1G
# timeout: 900
# setting: SWAP_PASSES 1
# parallel: yes
# shellcheck shell=bash

load_module
start_helper 0 1G --store "$(ivshmem_path)"
swap_on
no_readahead
take_counters before
say "$(awk '/^MemAvailable/ { print int($2 / 1024) }' /proc/meminfo) MiB of RAM are available"
swap_torture --size 1536M --passes "$SWAP_PASSES" --procs 2 --json >torture.json || die "swap_torture: $?"
nothing_wrong torture.json
take_counters after
counters_agree before after 512
assert_eq "$(vmstat_of oom_kill)" 0 "processes killed for lack of memory"
swapoff /dev/vramswap0
stop_helper 0
unload_module
