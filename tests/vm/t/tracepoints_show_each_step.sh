# SPDX-License-Identifier: MIT
# One write and one read can be followed through all six steps: in the kernel by tracepoints, in the helper by its
# probes.
# memory: 1G
# timeout: 300
# shellcheck shell=bash

tracefs=/sys/kernel/tracing
helper=$(command -v vramswapd)

# probe_places NAME: file offsets of the helper's USDT probes of that name. The notes hold addresses; the segment that
# is executable tells how far these are from offsets.
probe_places() {
	local address offset virtual shift
	read -r offset virtual < <(readelf -lW "$helper" | awk '$1 == "LOAD" && / R E / { print $2, $3; exit }')
	shift=$((virtual - offset))
	readelf -nW "$helper" | awk -v name="$1" '$1 == "Name:" { hit = $2 == name } hit && $1 == "Location:" {
		sub(",", "", $2); print $2 }' | while read -r address; do
		printf '0x%x\n' $((address - shift))
	done
}

enable_probe() {
	local place n=0
	for place in $(probe_places "$1"); do
		echo "p:vs_helper/$1_$n $helper:$place" >>$tracefs/uprobe_events
		n=$((n + 1))
	done
	[ "$n" -gt 0 ] || die "vramswapd has no probe $1"
}

load_module
start_helper 0 64M
probes=no
if [ ! -e $tracefs/uprobe_events ]; then
	say "this kernel has no uprobes: only its own steps are looked at"
elif readelf -nW "$helper" | grep -q 'Name: sqe_taken'; then
	probes=yes
	for name in sqe_taken engine_submit engine_done cqe_published; do
		enable_probe $name
	done
	echo 1 >$tracefs/events/vs_helper/enable
else
	say "vramswapd was built without probes (no sys/sdt.h): only the kernel's steps are looked at"
fi
echo 1 >$tracefs/events/vramswap/enable
echo >$tracefs/trace

head -c 4096 /dev/urandom >block
# follow OPCODE COMMAND...: prints the trace of the one request that the command makes; checks the order of its steps.
follow() {
	local opcode=$1 steps expected
	shift
	echo >$tracefs/trace
	"$@"
	wait_for "grep -q vramswap_complete $tracefs/trace" 10
	grep -v '^#' $tracefs/trace >trace
	sed 's/^/    /' trace
	steps=$(grep -oE 'vramswap_(request|submit|doorbell|complete):|sqe_taken|engine_submit|engine_done|cqe_published' \
		trace | tr -d : | grep -v doorbell | xargs)
	expected="vramswap_request vramswap_submit vramswap_complete"
	[ $probes = no ] || expected="vramswap_request vramswap_submit sqe_taken engine_submit engine_done cqe_published \
vramswap_complete"
	assert_eq "$steps" "$expected" "steps in order"
	grep -q "vramswap_submit: .*opcode=$opcode offset=8192 length=4096" trace || die "the submit is not as asked for"
	assert_eq "$(sed -nE 's/.*vramswap_submit: .*(slot=[0-9]+ generation=[0-9]+).*/\1/p' trace)" \
		"$(sed -nE 's/.*vramswap_complete: .*(slot=[0-9]+ generation=[0-9]+).*/\1/p' trace)" "slot and generation"
	grep -q 'vramswap_complete: .*status=0' trace || die "the completion tells of an error"
	grep -q 'vramswap_enter: .*found=1' trace || die "no ENTER found a completion"
}

follow 2 dd if=block of=/dev/vramswap0 bs=4k seek=2 oflag=direct status=none
follow 1 dd if=/dev/vramswap0 of=back bs=4k skip=2 count=1 iflag=direct status=none
cmp block back

say "a helper that sleeps is woken by a doorbell"
echo >$tracefs/trace
sleep 0.5 # long enough to fall asleep
dd if=block of=/dev/vramswap0 bs=4k seek=2 oflag=direct status=none
grep -q vramswap_doorbell $tracefs/trace || die "no doorbell"

say "a change of state"
[ $probes = no ] || echo 0 >$tracefs/events/vs_helper/enable
stop_helper 0
grep vramswap_state $tracefs/trace || die "no change of state was traced"
echo 0 >$tracefs/events/enable
[ $probes = no ] || echo >$tracefs/uprobe_events
unload_module
