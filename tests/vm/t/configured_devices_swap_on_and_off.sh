# SPDX-License-Identifier: MIT
# A file configures devices; vramswapctl swaps them on as it says, and off, unless the pages fit nowhere else.
# memory: 1G
# timeout: 300
# shellcheck shell=bash

group_of() { echo "/sys/fs/cgroup$(cut -d: -f3 "/proc/$1/cgroup")"; }

# swap_off_status: of vramswapctl swap-off 0; what it says is in the file refusal.
swap_off_status() {
	local status=0
	vramswapctl swap-off 0 2>refusal || status=$?
	echo "$status"
}

load_module
cat >/etc/vramswap.conf <<'END'
[vramswap0]
swap-priority = 7
hold-timeout = 77

[vramswap1]
size = min(64M, ram / 2)
engine = host
queues = 1
END

say "a wrong file"
mkdir -p /etc/vramswap.conf.d
printf '[vramswap0]\nsise = 4G\n' >/etc/vramswap.conf.d/wrong.conf
refused 'wrong.conf:2: .*sise' vramswapd --device 1
refused 'wrong.conf:2: .*sise' vramswapctl swap-on 0
rm /etc/vramswap.conf.d/wrong.conf

say "a device that the module has not made"
vramswapd --device 1 2>log &
helper=$!
wait_state live 1
assert_eq "$(status_of size 1) $(status_of queues 1)" "$((64 << 20)) 1" "size and queues of vramswap1"
kill "$helper"
wait "$helper"

start_helper 0 256M
assert_eq "$(status_of hold_timeout_ms)" 77000 "hold time"
for _ in 1 2 3; do
	vramswapctl swap-on 0 &
	calls+=($!)
done
for call in "${calls[@]}"; do wait "$call"; done
vramswapctl swap-on 0
assert_eq "$(status_of swap.priority)" 7 "priority"
vramswapctl status
vramswapctl bench 0 --time 0.2

say "pages that fit nowhere else"
start_torture 32M --size 128M --passes 100000
wait_for "at_least $((64 << 20)) status_of swap.used" 120
mkdir -p /mnt/full
mount -t tmpfs -o size=100% none /mnt/full
head -c "$(awk '/^MemAvailable:/ { print $2 - 60000 "K" }' /proc/meminfo)" /dev/zero >/mnt/full/file
assert_eq "$(swap_off_status)" 5 "status of swap-off"
cat refusal
grep -q 'holds .* room for' refusal || die "no figures"
assert_eq "$(status_of state) $(status_of swap.priority)" "live 7" "state and priority"
refused 'systemd does not run here' vramswapctl stop

say "pages that fit"
umount /mnt/full
# shellcheck disable=SC2154 # torture_pid: start_torture
echo max >"$(group_of "$torture_pid")/memory.max"
assert_eq "$(swap_off_status)" 0 "status of swap-off"
assert_eq "$(swap_off_status)" 0 "status of swap-off, again"
assert_eq "$(status_of swap)" null "swap"
torture_lost_nothing

say "metrics and the doctor"
vramswapctl metrics --output metrics
grep -qx 'vramswap_state{device="vramswap0",state="live"} 1' metrics || die "no state among the metrics"
status=0
vramswapctl doctor || status=$?
assert_eq "$status" 3 "status of doctor, which has no GPU to look at"
stop_helper 0
unload_module
