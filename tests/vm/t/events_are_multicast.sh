# SPDX-License-Identifier: MIT
# Whoever listens hears of each change of a device's state, in order and with its reason.
# memory: 1G
# timeout: 300
# shellcheck shell=bash

load_module
vramswapctl events --json >heard.json &
listener=$!
setpriv --reuid 65534 --regid 65534 --clear-groups vramswapctl events --json >heard-by-nobody.json &
other=$!

lines_of() { wc -l <"$1"; }

# heard EVENT DEVICE [REASON]: the next event that was not looked at yet.
seen=0
heard() {
	local line
	seen=$((seen + 1))
	wait_for "at_least $seen lines_of heard.json" 20
	line=$(sed -n "${seen}p" heard.json)
	say "$(jq -r '"\(.name): \(.event): \(.sentence)"' <<<"$line")"
	assert_eq "$(jq -r '"\(.event) \(.name)"' <<<"$line")" "$1 vramswap$2" "event $seen"
	[ -z "${3:-}" ] || assert_eq "$(jq -r .device.reason <<<"$line")" "$3" "reason of event $seen"
}

# Until both listeners are there.
until [ -s heard.json ] && [ -s heard-by-nobody.json ]; do
	chardev_probe --cycle 1 >/dev/null
done
skipped=$(lines_of heard.json)
seen=$skipped

vramswapctl add --index 1 >/dev/null
heard added 1
start_helper 1 64M
heard attached 1
heard live 1
dd if=/dev/urandom of=/dev/vramswap1 bs=4k count=4 oflag=direct status=none
tell_helper 1 restart never
kill_helper 1
heard held 1 ESHUTDOWN
tell_helper 1 start
wait_helper 1 ready
heard live 1
stop_helper 1
heard stopped 1

say "a broken ring and a silent helper have reasons of their own"
ring_probe --device 1 slot_not_out
heard attached 1
heard live 1
heard held 1 EBADMSG
heard live 1
heard stopped 1
heard attached 1
heard stopped 1
vramswapctl set 1 --io-timeout 1
ring_probe --device 1 silent_helper
heard attached 1
heard live 1
heard held 1 ETIMEDOUT
heard live 1
heard stopped 1
heard attached 1
heard stopped 1

say "the hold time is over"
vramswapctl set 1 --hold-timeout 0.5
start_helper 1 64M
heard attached 1
heard live 1
tell_helper 1 restart never
kill_helper 1
heard held 1 ESHUTDOWN
heard failed 1 ESHUTDOWN
echo quit >/run/helper-1/control
vramswapctl delete 1
heard deleted 1

wait_for "tail -n1 heard-by-nobody.json | grep -q '\"deleted\"'" 20
kill $listener $other
told() { tail -n $((seen - skipped)) "$1" | jq -c '[.event, .name, .device.reason]'; }
assert_eq "$(told heard-by-nobody.json)" "$(told heard.json)" "what the other listener heard"
unload_module
