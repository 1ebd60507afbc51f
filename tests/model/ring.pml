/* SPDX-License-Identifier: MIT */
/*
 * The two rings of kmod/ring.h and helper/ring.hpp with several entries, whose counters wrap: each request reaches the
 * helper as it was written, each answer comes back as it was given, in any order, and no entry is written over before it
 * was read. Nobody looks whether a ring is full: it has as many entries as there are slots, and a slot is free again only
 * when its answer was taken.
 *
 * Letters are ring.h's. A release comes after the stores before it, an acquire before the loads after it; what leaves one
 * out does them the other way around, as a processor might. mutants: WITHOUT_A WITHOUT_B WITHOUT_C WITHOUT_D SLOTS_PAST_ENTRIES
 */
#define ENTRIES 2
#define WRAP 4 /* counters run modulo this, as the true ones modulo 2^32 */
#define REQUESTS 5
#ifdef SLOTS_PAST_ENTRIES
#define SLOTS (ENTRIES + 1)
#else
#define SLOTS ENTRIES
#endif
#define NOTHING 255
#define ANSWER(n) (REQUESTS + (n)) /* to request n */

byte sqe[ENTRIES] = NOTHING, cqe[ENTRIES] = NOTHING; /* the slot's number */
byte sq_tail, sq_head, cq_tail, cq_head;
byte bytes[SLOTS];   /* a slot's, as the other side sees them */
byte request[SLOTS]; /* the one that is in the slot; 0: it is free */
byte ended;

inline publish(entry, slot, content)
{
	bytes[slot] = content;
	entry = slot
}

/* The entry at the head, and its slot's bytes. */
inline look(entry, slot, content)
{
	slot = entry;
	content = (slot == NOTHING -> 0 : bytes[slot])
}

active proctype submitter()
{
	byte n = 1, slot;

	do
	:: n <= REQUESTS ->
		atomic { /* a tag of the block layer */
			if
			:: request[0] == 0 -> slot = 0
			:: request[1] == 0 -> slot = 1
			:: SLOTS > 2 && request[SLOTS - 1] == 0 -> slot = SLOTS - 1
			fi;
			request[slot] = n
		}
#ifdef WITHOUT_A
		sq_tail = (sq_tail + 1) % WRAP;
		publish(sqe[(sq_tail + WRAP - 1) % ENTRIES], slot, n);
#else
		publish(sqe[sq_tail % ENTRIES], slot, n);
		sq_tail = (sq_tail + 1) % WRAP; /* (A) */
#endif
		n++
	:: else -> break
	od
}

inline answer(slot)
{
	taken[slot] = false;
#ifdef WITHOUT_C
	cq_tail = (cq_tail + 1) % WRAP;
	publish(cqe[(cq_tail + WRAP - 1) % ENTRIES], slot, ANSWER(asked[slot]))
#else
	publish(cqe[cq_tail % ENTRIES], slot, ANSWER(asked[slot]));
	cq_tail = (cq_tail + 1) % WRAP /* (C) */
#endif
}

/* Takes what there is, and answers in any order. */
active proctype helper()
{
	byte next, content;
	bool taken[SLOTS];
	byte asked[SLOTS];

end:
	do
#ifdef WITHOUT_B
	:: look(sqe[sq_head % ENTRIES], next, content);
		sq_tail != sq_head;
#else
	:: sq_tail != sq_head -> /* (B) */
		look(sqe[sq_head % ENTRIES], next, content);
#endif
		assert(next != NOTHING && !taken[next] && content == request[next]);
		taken[next] = true;
		asked[next] = content;
		sq_head = (sq_head + 1) % WRAP
	:: taken[0] -> answer(0)
	:: taken[1] -> answer(1)
	:: SLOTS > 2 && taken[SLOTS - 1] -> answer(SLOTS - 1)
	od
}

/* vs_cq_peek and vs_cq_take. */
active proctype reaper()
{
	byte slot, content;

end:
	do
#ifdef WITHOUT_D
	:: look(cqe[cq_head % ENTRIES], slot, content);
		cq_tail != cq_head;
#else
	:: cq_tail != cq_head -> /* (D) */
		look(cqe[cq_head % ENTRIES], slot, content);
#endif
		assert((cq_tail + WRAP - cq_head) % WRAP <= ENTRIES);
		assert(slot != NOTHING && request[slot] != 0 && content == ANSWER(request[slot]));
		cq_head = (cq_head + 1) % WRAP;
		ended++;
		request[slot] = 0
	od
}

active proctype judge()
{
	timeout -> assert(ended == REQUESTS)
}
