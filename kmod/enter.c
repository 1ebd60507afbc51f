// SPDX-License-Identifier: GPL-2.0-only
/* ENTER: the helper has the kernel take its CQEs, and sleeps. */
#include <linux/sched/clock.h>
#include <linux/sched/signal.h>
#include <linux/sched/stat.h>

#include "vramswap.h"
#include "compat.h"
#include "trace.h"

/*
 * CQEs taken under one hold of the reap lock; blk-mq's own completion batches are of 32 as well
 * (TAG_COMP_BATCH).
 */
#define VS_ENTER_BATCH 32

/* Looks at the SQ, with a pause each, between two looks at the clock. */
#define VS_ENTER_LOOKS 16

/* Is there anything to reap, and nobody who takes it without us? */
static bool vs_enter_has_work(struct vs_channel *channel)
{
	if (READ_ONCE(channel->broken))
		return true;
	if (!vs_cq_peek(&channel->ring))
		return false;
	return !vs_handover_lasts(&channel->ring);
}

/*
 * Takes and ends what is ready, at most one request for each slot. Returns how many, or why the
 * ring is broken.
 */
static int vs_enter_reap(struct vs_queue *queue, struct vs_channel *channel)
{
	struct vs_done done[VS_ENTER_BATCH];
	unsigned int total = 0;
	int count, ret;

	if (!vs_enter_has_work(channel))
		return 0;
	do {
		vs_fault_delay(VS_FAULT_late_claim);
		ret = vs_reap_claim(queue, channel, done, VS_ENTER_BATCH, &count);
		vs_fault_kill(VS_FAULT_die_claimed, channel->session);
		vs_fault_delay(VS_FAULT_late_end);
		vs_reap_end(queue, channel, done, count);
		total += count;
	} while (!ret && count == VS_ENTER_BATCH && total < queue->device->slots);
	return ret ?: total;
}

/*
 * Waits awake for work, while this task is the only one that wants the CPU. True if there is some.
 */
static bool vs_enter_spin(struct vs_session *session, struct vs_channel *channel, u32 sq_head,
			  u32 spin_us)
{
	u64 limit_ns = min(spin_us, VRAMSWAP_MAX_SPIN_US) * (u64)NSEC_PER_USEC;
	u64 start_ns = local_clock();
	unsigned int looks;

	for (looks = 1; !vs_sq_has_past(&channel->ring, sq_head); looks++) {
		if (!limit_ns || !single_task_running() || vs_compat_need_resched())
			return false;
		if (READ_ONCE(session->end) || signal_pending(current))
			return false;
		if (looks % VS_ENTER_LOOKS == 0 && local_clock() - start_ns >= limit_ns)
			return false;
		cpu_relax();
	}
	return true;
}

/*
 * Sleeps until there is work, a signal, or the end of the session. One thread at a time for each
 * queue. *slept says whether it came to that.
 */
static int vs_enter_wait(struct vs_session *session, struct vs_channel *channel, u32 sq_head,
			 bool *slept)
{
	DEFINE_WAIT(entry);
	int ret = 0;

	if (test_and_set_bit_lock(0, &channel->waiting))
		return -EBUSY;
	for (;;) {
		/* Before the checks, so that a wake-up after them is not lost. */
		prepare_to_wait(&channel->wait, &entry, TASK_INTERRUPTIBLE);
		if (!vs_sleep_begin(&channel->ring, sq_head) || READ_ONCE(session->end))
			break;
		if (signal_pending(current)) {
			ret = -EINTR;
			break;
		}
		schedule();
		*slept = true;
	}
	finish_wait(&channel->wait, &entry);
	vs_sleep_end(&channel->ring);
	clear_bit_unlock(0, &channel->waiting);
	return ret;
}

static void vs_enter_count(struct vs_queue *queue, bool waited)
{
	spin_lock(&queue->reap_lock);
	vs_stats_add(&queue->enters, 1);
	vs_stats_add(&queue->waits, waited);
	spin_unlock(&queue->reap_lock);
}

/*
 * The body of ENTER, for a session that was started, inside an ioctl on its file: channels and
 * staging stay valid. Returns the number of CQEs taken and VRAMSWAP_ENTER_SLEPT, or a negative
 * errno (uapi); for -EBADMSG the caller must end the session.
 */
int vs_enter(struct vs_session *session, const struct vramswap_enter *args)
{
	struct vs_queue *queue = &session->device->queues[args->queue];
	struct vs_channel *channel = &session->channels[args->queue];
	bool slept = false;
	int ret, waited = 0;

	vs_fault_kill(VS_FAULT_die_enter, session);
	ret = vs_enter_reap(queue, channel);
	vs_fault_kill(VS_FAULT_die_ended, session);
	trace_vramswap_enter(queue, args->sq_head, ret);
	if (ret >= 0 && (args->flags & VRAMSWAP_ENTER_WAIT) &&
	    !vs_enter_spin(session, channel, args->sq_head, args->spin_us))
		waited = vs_enter_wait(session, channel, args->sq_head, &slept);
	vs_enter_count(queue, slept);
	if (ret == -EBADMSG)
		return ret;
	if (READ_ONCE(session->end))
		return READ_ONCE(session->end);
	return waited ?: ret | (slept ? VRAMSWAP_ENTER_SLEPT : 0);
}
