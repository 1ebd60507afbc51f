// SPDX-License-Identifier: MIT
/*
 * hog MIB: fills so much memory with what no kernel compresses or merges, then reads all of it again and again and
 * compares. A line for each round; 1 at the first wrong word. Linked statically: it runs on any system.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static uint64_t word_of(uint64_t place)
{
	uint64_t x = place + 0x9e3779b97f4a7c15;

	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
	x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
	return x ^ (x >> 31);
}

int main(int argc, char **argv)
{
	size_t words = argc == 2 ? strtoul(argv[1], NULL, 10) * (1024 * 1024 / sizeof(uint64_t)) : 0;
	uint64_t *memory = malloc(words * sizeof(uint64_t));
	unsigned long round;
	size_t i;

	if (!words || !memory)
		return 2;
	for (i = 0; i < words; i++)
		memory[i] = word_of(i);
	for (round = 0;; round++) {
		printf("round %lu\n", round);
		fflush(stdout);
		for (i = 0; i < words; i++) {
			if (memory[i] == word_of(i))
				continue;
			printf("wrong word at byte %zu in round %lu\n", i * sizeof(uint64_t), round);
			return 1;
		}
	}
}
