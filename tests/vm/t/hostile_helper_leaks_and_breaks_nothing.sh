# SPDX-License-Identifier: MIT
# A helper that does whatever it can to its device, callers that send all kinds of netlink messages, and witnesses who
# read and write meanwhile: no word that is not theirs, no hang, no report, and afterwards the device works as before.
# memory: 1500M
# timeout: 280
# setting: FUZZ_SECONDS 20
# setting: FUZZ_SEED 1
# setting: FUZZ_OPERATIONS 0
# parallel: yes
# shellcheck shell=bash

# Little memory to share is shared more: mapped, written and thrown away.
load_module hold_timeout_ms=200 io_timeout_ms=1000 slots=16
vramswapctl add --index 1
start_helper 1 64M # an honest neighbour, of whom the hostile one must see and spoil nothing
neighbour() {
	while [ -e fuzzing ]; do
		fio --eta=never --name=neighbour --filename=/dev/vramswap1 --ioengine=libaio --direct=1 --iodepth=8 --rw=randrw \
			--bs=4k --rate_iops=25 --size=16M --verify=crc32c --verify_fatal=1 --time_based --runtime=15 --output=fio.log
	done
}
touch fuzzing
neighbour &
neighbour=$!

while read -r seed epoch before found; do
	say "epoch $epoch of seed $seed, which once found: $found"
	vramswap_fuzz --device 0 --seed "$seed" --epoch "$epoch" --before "$before" --threads 3
done < <(grep -v '^#' "$SUPPORT/../fuzz/cases")

# As many operations as FUZZ_OPERATIONS says, if that is not 0, in FUZZ_SECONDS at most.
limits=(--seconds "$FUZZ_SECONDS" --epoch-limit $((30 * PATIENCE)))
[ "$FUZZ_OPERATIONS" -eq 0 ] || limits+=(--operations "$FUZZ_OPERATIONS")
status=0
vramswap_fuzz --device 0 --seed "$FUZZ_SEED" --threads 3 --witnesses 3 "${limits[@]}" >fuzz.log 2>&1 &
fuzzer=$!
tail -f --pid=$fuzzer fuzz.log | sed -nu 's/.* so far.*/== &/p'
wait $fuzzer || status=$?
rm fuzzing
tail -n 20 fuzz.log
[ "$status" -eq 0 ] || die "the fuzzer found something: seed $FUZZ_SEED"
for figure in operations sessions broken answered looked io_good io_failed netlink; do
	[ "$(tail -n1 fuzz.log | jq ".$figure")" -gt 0 ] || die "the fuzzer did nothing of this kind: $figure"
done
say "operations: $(tail -n1 fuzz.log | jq -c '{operations, netlink, sessions, broken, io_good, io_failed}')"
[ "$(tail -n1 fuzz.log | jq '.operations + .netlink')" -ge "$FUZZ_OPERATIONS" ] || die "it took too long"
wait $neighbour || {
	cat fio.log
	die "fio on the neighbour: an I/O failed or a byte is wrong"
}

say "the device is as good as before"
wait_for "[ \"\$(status_of state)\" = empty ] || [ \"\$(status_of state)\" = failed ]" 30
vramswapctl set 0 --hold-timeout 30
vramswapctl set 0 --io-timeout 30
start_helper 0 32M
dd if=/dev/urandom of=block bs=4k count=256 status=none
dd if=block of=/dev/vramswap0 bs=64k oflag=direct status=none
cmp -n $((256 * 4096)) block /dev/vramswap0
stop_helper 0
stop_helper 1
for device in $(vramswapctl status --json | jq -r .index); do
	[ "$device" -lt 2 ] || vramswapctl delete "$device"
done
unload_module
