# SPDX-License-Identifier: MIT
# Discarded blocks are no longer in use; a later write to them survives. Zeroed blocks read as zeros. Swap discards what
# it frees.
# memory: 1G
# timeout: 400
# shellcheck shell=bash

MIB=$((1 << 20))

used() { status_of used; }

# part_is FILE START LENGTH: that part of the device holds the same bytes as that part of the file.
part_is() {
	cmp -n "$3" -i "$2" "$1" <(dd if=/dev/vramswap0 bs=64k skip="$2" count="$3" \
		iflag=direct,skip_bytes,count_bytes status=none | (head -c "$2" /dev/zero && cat)) ||
		die "wrong bytes at $2"
}

load_module
start_helper 0 64M
assert_eq "$(used)" 0 "in use at first"
head -c $((64 * MIB)) /dev/urandom >random
dd if=random of=/dev/vramswap0 bs=1M oflag=direct status=none
assert_eq "$(used)" $((64 * MIB)) "in use when all was written"

say "discard"
blkdiscard --offset $((16 * MIB)) --length $((8 * MIB)) /dev/vramswap0
assert_eq "$(used)" $((56 * MIB)) "in use after a discard"
blkdiscard --offset $((16 * MIB)) --length $((8 * MIB)) /dev/vramswap0
assert_eq "$(used)" $((56 * MIB)) "in use after the same discard again"
dd if=random of=/dev/vramswap0 bs=64k skip=$((20 * MIB)) seek=$((20 * MIB)) count=$((2 * MIB)) \
	iflag=skip_bytes,count_bytes oflag=direct,seek_bytes conv=notrunc status=none
assert_eq "$(used)" $((58 * MIB)) "in use after a write to discarded blocks"
part_is random $((20 * MIB)) $((2 * MIB))
part_is random 0 $((16 * MIB))
part_is random $((24 * MIB)) $((40 * MIB))

say "discard and write at the same time, in neighbouring and in the same blocks"
fio --eta=never --name=trimwrite --filename=/dev/vramswap0 --ioengine=libaio --direct=1 --iodepth=16 \
	--rw=randtrimwrite --bs=4k --size=8M --output=fio.log --verify=crc32c --verify_fatal=1 --do_verify=1 || {
	cat fio.log
	die "fio: trimmed and written blocks are wrong"
}
fio --eta=never --name=neighbour --filename=/dev/vramswap0 --ioengine=libaio --direct=1 --iodepth=16 --bs=4k \
	--offset=8M --size=8M --zonemode=strided --zonesize=4k --zonerange=8k --rw=write --verify=crc32c \
	--verify_fatal=1 --do_verify=1 --output=fio.log &
fio=$!
while [ -d /proc/$fio ]; do
	for odd in $(seq 1 64 2047); do
		blkdiscard --offset $((8 * MIB + odd * 4096)) --length 4096 /dev/vramswap0
	done
done
wait $fio || {
	cat fio.log
	die "fio: blocks beside discarded ones are wrong"
}

say "write zeroes"
cp random zeroed
blkdiscard --zeroout --offset $((32 * MIB)) --length $((12 * MIB)) /dev/vramswap0
dd if=/dev/zero of=zeroed bs=1M seek=32 count=12 conv=notrunc status=none
fallocate --zero-range --offset $((50 * MIB)) --length 12288 /dev/vramswap0
dd if=/dev/zero of=zeroed bs=4k seek=$((50 * 256)) count=3 conv=notrunc status=none
part_is zeroed $((24 * MIB)) $((40 * MIB))
say "zeroed by the helper: $(stat_of operations.zeroes.bytes) bytes in $(stat_of operations.zeroes.requests) requests"
[ "$(stat_of operations.zeroes.bytes)" -ge $((12 * MIB)) ] || die "the zeroes were written as data"
dd if=random of=/dev/vramswap0 bs=64k skip=$((32 * MIB)) seek=$((32 * MIB)) count=$((12 * MIB)) \
	iflag=skip_bytes,count_bytes oflag=direct,seek_bytes conv=notrunc status=none
part_is random $((32 * MIB)) $((12 * MIB))

say "all of it"
blkdiscard /dev/vramswap0
assert_eq "$(used)" 0 "in use after a discard of everything"

say "swap"
swap_on
cg_run 32M swap_torture --size 56M --passes 1 --json >torture.json || die "swap_torture: $?"
nothing_wrong torture.json
say "in use: $(used) bytes once the program has ended"
# Before Linux 6.14 each processor keeps the last 64 freed entries for itself, and each of them keeps its cluster of
# 2 MiB from being discarded: a few pages more on each processor drive them out.
for _ in 1 2 3 4; do
	for cpu in 0 1; do
		cg_run 8M taskset -c "$cpu" swap_torture --size 12M --passes 1 --json >small.json || die "swap_torture: $?"
	done
	! at_most $((8 * MIB)) used || break
	sleep 1
done
wait_for "at_most $((8 * MIB)) used" 20
[ "$(stat_of operations.discard.bytes)" -gt $((64 * MIB)) ] || die "swap discarded nothing"
swapoff /dev/vramswap0
stop_helper 0
unload_module
