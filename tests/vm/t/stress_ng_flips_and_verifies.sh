# SPDX-License-Identifier: MIT
# stress-ng uses 130 % of a guest's memory and verifies each bit that it flips, with nothing but our swap.
# memory: 512M
# ivshmem: 1G
# timeout: 600
# shellcheck shell=bash

load_module
start_helper 0 1G --store "$(ivshmem_path)"
swap_on
no_readahead
take_counters before
# So much of it, however long a slow machine takes.
stress-ng --vm 2 --vm-bytes 130% --vm-method flip --vm-ops 20000 --verify --timeout 500s --metrics-brief 2>&1 |
	tee stress.log
take_counters after
grep -q 'successful run completed' stress.log || die "stress-ng failed"
grep -qE 'vm +[1-9]' stress.log || die "stress-ng did nothing"
! grep -qiE 'fail:|detected .* error' stress.log || die "stress-ng found wrong bits"
counters_agree before after 100
assert_eq "$(vmstat_of oom_kill)" 0 "processes killed for lack of memory"
swapoff /dev/vramswap0
stop_helper 0
unload_module
