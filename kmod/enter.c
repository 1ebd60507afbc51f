// SPDX-License-Identifier: GPL-2.0-only
/* ENTER: the helper has the kernel take its CQEs, and sleeps. */
#include <linux/sched/signal.h>

#include "vramswap.h"
#include "trace.h"

/*
 * CQEs taken under one hold of the reap lock; blk-mq's own completion batches are of 32 as well
 * (TAG_COMP_BATCH).
 */
#define VS_ENTER_BATCH 32

/*
 * Takes and ends what is ready, at most one request for each slot. Returns how many, or why the
 * ring is broken.
 */
static int vs_enter_reap(struct vs_queue *queue, struct vs_channel *channel)
{
	struct vs_done done[VS_ENTER_BATCH];
	unsigned int total = 0;
	int count, ret;

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
 * Sleeps until there is work, a signal, or the end of the session. One thread at a time for each
 * queue.
 */
static int vs_enter_wait(struct vs_session *session, struct vs_channel *channel, u32 sq_head)
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
 * staging stay valid. Returns the number of CQEs taken or a negative errno (uapi); for -EBADMSG the
 * caller must end the session.
 */
int vs_enter(struct vs_session *session, const struct vramswap_enter *args)
{
	struct vs_queue *queue = &session->device->queues[args->queue];
	struct vs_channel *channel = &session->channels[args->queue];
	bool wait = args->flags & VRAMSWAP_ENTER_WAIT;
	int ret;

	vs_fault_kill(VS_FAULT_die_enter, session);
	ret = vs_enter_reap(queue, channel);
	vs_fault_kill(VS_FAULT_die_ended, session);
	trace_vramswap_enter(queue, args->sq_head, ret);
	wait = wait && !ret && !vs_sq_has_past(&channel->ring, args->sq_head);
	if (wait)
		ret = vs_enter_wait(session, channel, args->sq_head);
	vs_enter_count(queue, wait);
	if (ret == -EBADMSG)
		return ret;
	return READ_ONCE(session->end) ?: ret;
}
