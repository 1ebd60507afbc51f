# SPDX-License-Identifier: MIT
# A guest with nothing but our swap fills half as much again as all the RAM that it has to live in, and verifies it in
# random order. The helper's store lies outside the guest's RAM, as a GPU's does: in a PCI BAR.
# (GUEST_MEMORY=1200M is 1 GiB to live in, and 1.5 GiB.)
# ivshmem: 1G
# timeout: 900
# setting: GUEST_MEMORY 640M
# setting: SWAP_PASSES 1
# parallel: yes
# shellcheck shell=bash

load_module
start_helper 0 1G --store "$(ivshmem_path)"
swap_on
no_readahead
take_counters before
available=$(awk '/^MemAvailable/ { print int($2 / 1024) }' /proc/meminfo)
say "$available MiB of RAM are available"
swap_torture --size $((available * 3 / 2))M --passes "$SWAP_PASSES" --procs 2 --json >torture.json || die "swap_torture: $?"
nothing_wrong torture.json
take_counters after
counters_agree before after $((available / 2))
assert_eq "$(vmstat_of oom_kill)" 0 "processes killed for lack of memory"
swapoff /dev/vramswap0
stop_helper 0
unload_module
