# SPDX-License-Identifier: MIT
# A stop, sleep and removal are refused while the pages fit nowhere else, and removal also while a helper that systemd did
# not start has swap on; when they fit, swap goes off, the machine sleeps and swap comes back, and the removed packages leave
# nothing behind.
# memory: 1G
# timeout: 900
# poweroff: 20
# shellcheck shell=bash

wait_for swap_is_on 60
echo freezer >/sys/power/pm_test
echo 1 >/sys/module/suspend/parameters/pm_test_delay

# A limit that is no limit: what goes off swap has to fit in.
hog hog 200 MemoryHigh=64M
wait_for "pages_are_out 100" 60
free=$(($(sed -nE 's/^MemAvailable: *([0-9]+) kB/\1/p' /proc/meminfo) / 1024))
hog filler $((free - 40)) MemorySwapMax=0
wait_for '[ -s /run/filler.log ]' 60
say "$(pages_out) MiB are out, $(free --mebi | sed -n 2p)"

status=0
vramswapctl stop 0 || status=$?
assert_eq "$status" 5 "status of vramswapctl stop"
assert_eq "$(property ActiveState)" active "state of the service"
! systemctl suspend || wait_for "systemctl is-failed --quiet vramswap-sleep.service" 30
journalctl -b -u vramswap-sleep --no-pager
journalctl -b -u vramswap-sleep --grep 'does not go to sleep' >/dev/null || die "it does not say why"
! journalctl -b -k --grep 'PM: suspend entry' >/dev/null || die "it went to sleep"
! apt-get -q -y purge vramswap || die "the package was removed while its swap was needed"
swap_is 100 || die "swap is off"
systemctl stop filler
! apt-get -q -y purge vramswap-dkms || die "the module's package was removed while its swap is on"
modinfo -n vramswap
verified hog

systemctl suspend
wait_for "journalctl -b -k --grep 'PM: suspend exit' >/dev/null" 60
wait_for 'swap_is 100' 60
say "slept, and swap is on"
verified hog

systemctl stop vramswap@0
! swap_is_on || die "swap is still on"
assert_eq "$(vramswapctl status 0 --noheadings --output STATE)" empty "state of the device"
assert_eq "$(property NFileDescriptorStore)" 0 "descriptors that systemd keeps after a stop"
systemctl start vramswap@0
swap_is 100 || die "swap is not on"

figures=/var/lib/prometheus/node-exporter/vramswap.prom
mkdir -p "${figures%/*}"
systemctl enable --now vramswap-metrics.timer
systemctl start vramswap-metrics.service
grep -q vramswap_ "$figures" || die "there are no figures"

vramswapctl add --index 1
vramswapd --device 1 --size 16M --engine host &
helper=$!
vramswapctl swap-on 1 --wait 100
! vramswapctl stop 1 || die "stop does not tell of a helper that runs on"
! grep '^/dev/vramswap1\s' /proc/swaps || die "stop left its swap on"
vramswapctl swap-on 1 --wait 100
! apt-get -q -y remove vramswap || die "the package was removed while a helper has swap on"
wait_for 'swap_is 100' 60
say "refused, and swap is on again"
vramswapctl swap-off 1
kill "$helper"
wait "$helper"
vramswapctl delete 1

systemctl enable vramswap@1
apt-get -q -y remove vramswap
[ ! -e "$figures" ] || die "figures of a device that is gone are left"
systemctl suspend
wait_for "[ \"\$(journalctl -b -k --grep 'PM: suspend exit' | grep -c exit)\" -ge 2 ]" 60
say "slept without the package"

install_again vramswap
systemctl start vramswap@0
swap_is 100 || die "swap is not on"
# As docs/INSTALL.md has it.
apt-get -q -y purge vramswap vramswap-dkms
! swap_is_on || die "swap is still on"
[ ! -e /sys/module/vramswap ] || die "the module is still loaded"
# What the test itself put there is its own affair.
left=$(find / -xdev \( -path /proc -o -path /sys -o -path /run -o -path /results -o -path /var/log -o -path /usr/local \) \
	-prune -o -iname '*vramswap*' ! -name vramswap-test.service ! -path /etc/vramswap.conf -print)
assert_eq "$left" "" "left behind"
verified hog
power_off
