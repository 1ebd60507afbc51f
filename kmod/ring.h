/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The kernel's half of a queue's two rings: verbs, barriers, slot ownership.
 *
 * Free of all other kernel parts: unit tests compile these very lines in user space (kernel_shim.h
 * stands for the kernel's primitives there) and drive them against the helper's half under
 * ThreadSanitizer.
 *
 * Steps of a request's life (docs/ARCHITECTURE.md) that happen here: (2) publish the SQE, (6) take
 * the CQE.
 *
 *
 * Memory order, explained once; each access below carries its letter ((J) is the helper's own).
 *
 * Submission. The kernel fills an SQE and, for a write, the slot's bytes, then publishes both by
 * storing the tail:
 *
 *	kernel                              helper
 *	write slot bytes, SQE               load-acquire tail              (B)
 *	store-release tail          (A)     read SQE, slot bytes
 *
 * (A) pairs with (B): a helper that sees the tail sees what it announces.
 *
 * Completion is the mirror image:
 *
 *	helper                              kernel
 *	write slot bytes, CQE               load-acquire tail              (D)
 *	store-release tail          (C)     read CQE once, slot bytes
 *
 * Doorbell. A helper that found nothing to do sleeps inside ENTER, and is woken only if it sleeps.
 * The flag that says so belongs to the kernel alone: nobody else needs it, so nobody else can forge
 * it.
 *
 *	submitter                           ENTER
 *	store tail                  (A)     store sleeping = 1             (E)
 *	full barrier                (F)     full barrier                   (G)
 *	load sleeping               (H)     load tail; sleep if unchanged  (I)
 *
 * With both barriers at least one side sees the other's store: either ENTER sees the new tail and
 * does not sleep, or the submitter sees the sleeper and wakes it. The submitter takes the flag down
 * by exchange, so that one sleep costs one wake-up however many requests follow before the helper
 * runs.
 *
 * Hand-over. A submitter that waits for its own request takes CQEs without the helper's ENTER, and
 * says so in the SQ's flags. When it leaves, no CQE may stay behind of which each side believes
 * that the other one takes it:
 *
 *	submitter, leaving                  helper
 *	store flag = 0              (M)     store CQ tail              (C)
 *	full barrier                (N)     full barrier               (P)
 *	load CQ tail                (O)     load flag; ENTER if not set (Q)
 *
 * It may raise the flag again instead of (O), if it then looks at the CQ again. And ENTER takes
 * whatever there is before it sleeps: a submitter that is stopped with the flag up delays nobody
 * for long.
 *
 *
 * Slot ownership. A slot's owner word holds its generation and one bit, HELPER, set while the
 * helper owns the slot.
 *
 *	publish  KERNEL g   -> HELPER g+1   by the submitter, which owns the slot's request;
 *	                                    store-release (K)
 *	claim    HELPER g+1 -> KERNEL g+1   for the CQE that names slot and generation;
 *	                                    compare-and-exchange (L)
 *	revoke   HELPER g+1 -> KERNEL g+1   when the session has ended and no one else can run
 *
 * Invariant: a slot has at most one SQE under way, and a CQE is believed only if it names a slot
 * that is out, with the generation that it went out with. Example: slot 5 is published as
 * generation 8; a CQE {5, 8} claims it; the same CQE again finds KERNEL 8 and is refused; after the
 * slot's next trip, as generation 9, {5, 8} finds HELPER 9 and is refused as well. A refused CQE
 * ends the session.
 *
 * (K) pairs with (L), not with (A): a hostile helper can guess the generation and publish the CQE
 * before it has seen the SQE, so a claim must see what the submitter wrote into the slot even then.
 */
#ifndef VRAMSWAP_RING_H
#define VRAMSWAP_RING_H

#ifdef __KERNEL__
#include <linux/cache.h>
#include <linux/compiler.h>
#include <linux/errno.h>
#include <linux/types.h>
#include <asm/barrier.h>
#include <asm/cmpxchg.h>
#else
#include "kernel_shim.h"
#endif

#include "../uapi/vramswap.h"

#define VS_SLOT_HELPER 0x80000000U
#define VS_SLOT_GENERATION 0x7fffffffU

/*
 * One queue's rings as the kernel sees them. The shared parts are written by the kernel (sq) or the
 * helper (cq).
 */
struct vs_ring {
	struct vramswap_sq *sq;
	struct vramswap_sqe *sqes;
	struct vramswap_cq *cq;
	u64 *cqes;
	u32 mask; /* ring entries - 1 */

	/* Written by submitters, under their lock; the truth behind sq->tail. */
	u32 sq_tail ____cacheline_aligned_in_smp;

	/* Written by whoever takes CQEs, under the reap lock. */
	u32 cq_head ____cacheline_aligned_in_smp;

	/* Nonzero while the helper sleeps in ENTER and nobody has woken it. */
	u32 sleeping ____cacheline_aligned_in_smp;
};

/*
 * Points a ring at a session's zeroed memory. entries: a power of two, at least the number of
 * slots.
 */
static inline void vs_ring_init(struct vs_ring *ring, void *sq, void *cq, u32 entries)
{
	ring->sq = (struct vramswap_sq *)sq;
	ring->sqes = (struct vramswap_sqe *)(ring->sq + 1);
	ring->cq = (struct vramswap_cq *)cq;
	ring->cqes = (u64 *)(ring->cq + 1);
	ring->mask = entries - 1;
	ring->sq_tail = 0;
	ring->cq_head = 0;
	ring->sleeping = 0;
}

/* Hands a slot of the kernel's to the helper. Returns the generation that its SQE must carry. */
static inline u32 vs_slot_publish(u32 *owner)
{
	u32 generation = (READ_ONCE(*owner) + 1) & VS_SLOT_GENERATION;

	smp_store_release(owner, generation | VS_SLOT_HELPER); /* (K) */
	return generation;
}

/* Takes a slot back for a CQE. False if the slot was not out, or out with another generation. */
static inline bool vs_slot_claim(u32 *owner, u32 generation)
{
	u32 expected = generation | VS_SLOT_HELPER;

	if (generation & VS_SLOT_HELPER)
		return false;
	return cmpxchg(owner, expected, generation) == expected; /* (L) */
}

/* Takes a slot back from a session that has ended. */
static inline void vs_slot_revoke(u32 *owner)
{
	WRITE_ONCE(*owner, READ_ONCE(*owner) & VS_SLOT_GENERATION);
}

/*
 * The place of the next SQE. Cannot fail: the ring has as many entries as slots, and the caller
 * holds a slot.
 */
static inline struct vramswap_sqe *vs_sq_reserve(struct vs_ring *ring)
{
	return &ring->sqes[ring->sq_tail & ring->mask];
}

/* (2) Publishes the SQE written at the reserved place. Submitters' lock held. */
static inline void vs_sq_submit(struct vs_ring *ring)
{
	u32 tail = ring->sq_tail + 1;

	WRITE_ONCE(ring->sq_tail, tail);
	smp_store_release(&ring->sq->tail, tail); /* (A) */
}

/* After vs_sq_submit: true if the helper sleeps and the caller, and no one else, must wake it. */
static inline bool vs_doorbell_take(struct vs_ring *ring)
{
	smp_mb(); /* (F) */
	if (!READ_ONCE(ring->sleeping)) /* (H) */
		return false;
	return xchg(&ring->sleeping, 0);
}

/* True once the SQ holds SQEs past sq_head, the number that the helper says it has taken. */
static inline bool vs_sq_has_past(struct vs_ring *ring, u32 sq_head)
{
	return READ_ONCE(ring->sq_tail) != sq_head; /* (I) */
}

/* Announces a sleeper. False if there is work already: then the caller must not sleep. */
static inline bool vs_sleep_begin(struct vs_ring *ring, u32 sq_head)
{
	WRITE_ONCE(ring->sleeping, 1); /* (E) */
	smp_mb(); /* (G) */
	return !vs_sq_has_past(ring, sq_head);
}

/* The helper is awake again, for whatever reason. */
static inline void vs_sleep_end(struct vs_ring *ring)
{
	WRITE_ONCE(ring->sleeping, 0);
}

/*
 * Number of CQEs ready to be taken, or -EBADMSG if the helper's tail is impossible. Without the
 * reap lock it only says whether it is worth its while to take that.
 */
static inline int vs_cq_peek(struct vs_ring *ring)
{
	u32 ready = smp_load_acquire(&ring->cq->tail) - READ_ONCE(ring->cq_head); /* (D) */

	return ready <= ring->mask + 1 ? (int)ready : -EBADMSG;
}

/* From now on the helper leaves its CQEs to the caller. One caller at a time. */
static inline void vs_handover_begin(struct vs_ring *ring)
{
	WRITE_ONCE(ring->sq->flags, VRAMSWAP_SQ_KERNEL_REAPS);
}

/* From now on the helper enters again. The caller must look at the CQ once more (O). */
static inline void vs_handover_end(struct vs_ring *ring)
{
	WRITE_ONCE(ring->sq->flags, 0); /* (M) */
	smp_mb(); /* (N) */
}

/*
 * Does a submitter take CQEs at this moment? A hint for ENTER, which takes what is left before it
 * sleeps.
 */
static inline bool vs_handover_lasts(const struct vs_ring *ring)
{
	return READ_ONCE(ring->sq->flags) & VRAMSWAP_SQ_KERNEL_REAPS;
}

/*
 * (6) Copies the next CQE out, in one load, and frees its place. Only after vs_cq_peek said that
 * there is one.
 */
static inline struct vramswap_cqe vs_cq_take(struct vs_ring *ring)
{
	union {
		u64 word;
		struct vramswap_cqe cqe;
	} copy;

	copy.word = READ_ONCE(ring->cqes[ring->cq_head & ring->mask]);
	WRITE_ONCE(ring->cq_head, ring->cq_head + 1);
	return copy.cqe;
}

#endif
