// SPDX-License-Identifier: GPL-2.0-only
/*
 * The block map: one bit for each block, set while the block holds data.
 *
 * The helper maps it for reading and learns from it what is free; the kernel never takes a decision
 * from it. Bits of different blocks share words and are changed on several CPUs at once, so parts
 * of words are changed atomically.
 */
#include <linux/bitmap.h>
#include <linux/bitops.h>

#include "vramswap.h"

static_assert(BITS_PER_LONG == 64, "the block map's ABI is of 64-bit words");

/*
 * offset, length: bytes, multiples of a block, within the map. Writes are mostly short: bit by bit.
 */
void vs_map_set(struct vs_area *map, u64 offset, u64 length)
{
	unsigned long bit = offset / VRAMSWAP_BLOCK_SIZE;
	unsigned long end = bit + length / VRAMSWAP_BLOCK_SIZE;

	/* Looking first spares the cache line of a block that is overwritten. */
	for (; bit < end; bit++)
		if (!test_bit(bit, map->memory))
			set_bit(bit, map->memory);
}

/*
 * As vs_map_set. Discards may be as long as the device: whole words are stored, which is safe
 * because every block of such a word is being discarded, and a write that races with its own
 * block's discard may lose its bit anyway.
 */
void vs_map_clear(struct vs_area *map, u64 offset, u64 length)
{
	unsigned long *words = map->memory;
	unsigned long bit = offset / VRAMSWAP_BLOCK_SIZE;
	unsigned long end = bit + length / VRAMSWAP_BLOCK_SIZE;

	while (bit < end) {
		if (bit % BITS_PER_LONG == 0 && end - bit >= BITS_PER_LONG) {
			WRITE_ONCE(words[bit / BITS_PER_LONG], 0);
			bit += BITS_PER_LONG;
		} else {
			clear_bit(bit++, words);
		}
	}
}

/* Bytes in blocks that hold data. A moment's view. */
u64 vs_map_used(const struct vs_area *map)
{
	if (!map->memory)
		return 0;
	/* Bits may change meanwhile. */
	return (u64)data_race(bitmap_weight(map->memory, map->size * BITS_PER_BYTE)) *
	       VRAMSWAP_BLOCK_SIZE;
}
