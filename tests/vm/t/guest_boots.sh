# SPDX-License-Identifier: MIT
# The guest is what the tests rely on: its memory, CPUs, cgroups and file systems.
# memory: 1G
# timeout: 300

mem_kib=$(awk '/^MemTotal:/ { print $2 }' /proc/meminfo)
((mem_kib > 850 * 1024 && mem_kib <= 1024 * 1024)) || die "guest memory is $mem_kib KiB"
assert_eq "$(nproc)" 2 "CPUs"
assert_eq "$(whoami)" root "user"

grep -q '^pswpin ' /proc/vmstat || die "/proc/vmstat counts no swap-ins"
grep -qw tracefs /proc/mounts || die "no tracefs"
grep -q 127.0.0.1 < <(busybox ifconfig lo) || die "loopback is down"
assert_eq "$(cat <(echo through /dev/fd))" "through /dev/fd"

echo written >/usr/overlay-probe
assert_eq "$(cat /usr/overlay-probe)" written "a file on the overlay"
echo written >/tmp/probe

for controller in memory cpu io pids; do
	grep -qw "$controller" /sys/fs/cgroup/cgroup.subtree_control || die "no $controller controller"
done
# shellcheck disable=SC2016
limit=$(cg_run 64M bash -c 'cat "/sys/fs/cgroup$(cut -d: -f3 /proc/self/cgroup)/memory.max"')
assert_eq "$limit" $((64 * 1024 * 1024)) "memory.max inside cg_run"

modprobe brd rd_nr=1 rd_size=16384
wait_for 'test -b /dev/ram0' 5
mkfs.ext4 -q /dev/ram0
mkdir -p /mnt/ram
mount /dev/ram0 /mnt/ram
umount /mnt/ram
for module in xfs null_blk nbd zram; do
	modprobe "$module" || die "cannot load $module"
done
