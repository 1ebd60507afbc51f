# SPDX-License-Identifier: MIT
# expect: ok
# memory: 600M
# smp: 1
# ivshmem: 64M
# kernel-args: idle=poll
assert_eq "$(nproc)" 1 CPUs
(($(awk '/^MemTotal:/ { print $2 }' /proc/meminfo) < 600 * 1024)) || die "too much memory"
grep -qw idle=poll /proc/cmdline || die "no kernel argument"
assert_eq "$(stat -c %s "$(ivshmem_path)")" $((64 * 1024 * 1024)) "size of the ivshmem device"
