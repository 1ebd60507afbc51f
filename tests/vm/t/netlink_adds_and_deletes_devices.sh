# SPDX-License-Identifier: MIT
# Devices of odd shapes are added, work, and are deleted; wrong shapes are refused with a sentence and change nothing.
# Anyone may look, only root may change.
# memory: 1G
# timeout: 400
# shellcheck shell=bash

as_nobody() { setpriv --reuid 65534 --regid 65534 --clear-groups --bounding-set=-all --inh-caps=-all "$@"; }

devices() { vramswapctl status --json | jq -r .name | sort | xargs; }

# works DEVICE: a helper serves it and every byte comes back.
works() {
	start_helper "$1" 32M
	fio --eta=never --name=odd --filename="/dev/vramswap$1" --ioengine=libaio --direct=1 --iodepth=64 --rw=randwrite \
		--bsrange=4k-256k --numjobs=2 --thread --size=8M --offset_increment=8M --verify=crc32c --verify_fatal=1 \
		--do_verify=1 --output=fio.log || {
		cat fio.log
		die "fio on vramswap$1"
	}
	refused 'use|busy|attached' vramswapctl delete "$1"
	stop_helper "$1"
}

shape_of() { vramswapctl status "$1" --json | jq -r '"\(.queues) \(.slots) \(.slot_size)"'; }

load_module
assert_eq "$(devices)" vramswap0 "devices at first"

say "odd shapes"
vramswapctl add --index 3 --queues 3 --slots 5 --slot-size 4K
vramswapctl add --index 2 --queues 1 --slots 1000 --slot-size 16K
added=$(vramswapctl add --queues 64 --slots 4 --slot-size 1M)
assert_eq "$added" /dev/vramswap1 "the device that got a number by itself"
assert_eq "$(devices)" "vramswap0 vramswap1 vramswap2 vramswap3" devices
for device in 1 2 3; do
	say "vramswap$device: queues, slots, slot size: $(shape_of $device)"
	works $device
done
vramswapctl add --index 5 --queues 3 --slots 5 --slot-size 64K
chardev_probe --device 5 --cycle 2
ring_probe --device 5 answers_in_any_order answered_twice_later tail_too_far_ahead slot_out_of_range writes_are_held_too
vramswapctl delete 5

say "wrong shapes"
refused 'slots' vramswapctl add --slots 3
refused 'slots' vramswapctl add --slots 1025
refused 'slot' vramswapctl add --slot-size 4097
refused 'slot' vramswapctl add --slot-size 12K
refused 'slot' vramswapctl add --slot-size 2K
refused 'slot' vramswapctl add --slot-size 2M
refused 'queues' vramswapctl add --queues 0
refused 'queues' vramswapctl add --queues 65
refused 'at most 1 GiB' vramswapctl add --queues 64 --slots 1024 --slot-size 1M
refused 'there is a device' vramswapctl add --index 3
refused 'index|number|device' vramswapctl add --index 4000000000
refused 'no device of this number' vramswapctl delete 9
refused 'no device of this number' vramswapctl status 9
refused 'no device of this number' vramswapctl set 9 --hold-timeout 5
refused 'time' vramswapctl set 0 --io-timeout 0.001
assert_eq "$(devices)" "vramswap0 vramswap1 vramswap2 vramswap3" "devices, after all that"

say "nobody may look but not touch"
before=$(status_of hold_timeout_ms)
as_nobody vramswapctl status
as_nobody vramswapctl stats 0 >/dev/null
refused 'root|permission|privilege|CAP_SYS_ADMIN' as_nobody vramswapctl add
refused 'root|permission|privilege|CAP_SYS_ADMIN' as_nobody vramswapctl delete 3
refused 'root|permission|privilege|CAP_SYS_ADMIN' as_nobody vramswapctl set 0 --hold-timeout 7
refused 'denied' as_nobody dd if=/dev/vramswapc0 count=1
assert_eq "$(status_of hold_timeout_ms)" "$before" "hold time"
assert_eq "$(devices)" "vramswap0 vramswap1 vramswap2 vramswap3" "devices, after all that"

say "delete"
exec {open}</dev/vramswap2
refused 'use|busy|open' vramswapctl delete 2
exec {open}<&-
for device in 1 2 3; do
	vramswapctl delete $device
	[ ! -e /dev/vramswap$device ] || die "/dev/vramswap$device is still there"
done
vramswapctl delete 0
assert_eq "$(devices)" "" "devices after deleting all"
vramswapctl add
works 0
unload_module
