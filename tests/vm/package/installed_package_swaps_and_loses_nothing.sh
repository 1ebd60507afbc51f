# SPDX-License-Identifier: MIT
# After a start swap is on with no hand touched; an upgrade leaves the helper alone; a restart of the service and deaths of
# the helper lose nothing; the machine powers off in seconds with pages swapped out.
# memory: 1G
# timeout: 1500
# poweroff: 20
# shellcheck shell=bash

wait_for swap_is_on 60
say "$(modinfo -F filename vramswap), $(uname -r)"
[[ $(modinfo -n vramswap) == */updates/dkms/* ]] || die "the module is not DKMS's"
assert_eq "$(property ActiveState)" active "state of the service"
swap_is 100 || die "wrong priority: $(cat /proc/swaps)"
cat /proc/swaps
systemctl status --no-pager vramswap@0.service
# What keeps the service manager and the helper from waiting for the device.
assert_eq "$(cat /sys/fs/cgroup/init.scope/memory.swap.max)" 0 "swap of systemd itself"
assert_eq "$(cat "/sys/fs/cgroup$(property ControlGroup)/memory.swap.max")" 0 "swap of the helper"
[ "$(cat "/sys/fs/cgroup$(property ControlGroup)/memory.min")" -gt 0 ] || die "no memory is kept for the helper"
assert_eq "$(cat "/proc/$(property MainPID)/oom_score_adj")" -1000 "OOM score"
udev_knows=$(udevadm info --query=property /dev/vramswap0)
[[ $udev_knows != *ID_FS_* ]] || die "udev has looked into the device: $udev_knows"
complaints=$(journalctl -b -q --no-pager -p warning _SYSTEMD_UNIT=vramswap@0.service)
assert_eq "$complaints" "" "what the service complains of"

# The upgrade builds the module, and has precedence.
hog hog 160 MemoryMax=96M CPUWeight=1
wait_for "pages_are_out 40" 60
verified hog
say "$(pages_out) MiB are out"

helper=$(property MainPID),$(pgrep -d, -P "$(property MainPID)")
install_again vramswap vramswap-dkms
assert_eq "$(property MainPID),$(pgrep -d, -P "$(property MainPID)")" "$helper" "processes of the helper after an upgrade"
[[ $(modinfo -n vramswap) == */updates/dkms/* ]] || die "the module's file is gone"
swap_is 100 || die "swap is gone after an upgrade"
pages_are_out 40 || die "no pages are out"
verified hog
say "upgraded, $(pages_out) MiB are out"

keeper=$(property MainPID)
systemctl restart vramswap@0
[ "$(property MainPID)" != "$keeper" ] || die "it was not restarted"
swap_is 100 || die "swap is gone after a restart"
verified hog
say "restarted, $(pages_out) MiB are out"

keeper=$(property MainPID)
kill -KILL "$keeper"
wait_for "[ \"\$(property MainPID)\" != $keeper ] && [ \"\$(property ActiveState)\" = active ]" 30
verified hog
say "killed, $(pages_out) MiB are out"

worker=$(pgrep -P "$(property MainPID)" | head -n1)
kill -KILL "$worker"
verified hog
assert_eq "$(property NRestarts)" 1 "restarts"
[ "$(journalctl -b -u vramswap@0 --grep 'contents taken over' | grep -c over)" -eq 3 ] ||
	die "contents were not taken over each time"
pages_are_out 40 || die "no pages are out"
power_off
