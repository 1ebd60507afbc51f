// SPDX-License-Identifier: GPL-2.0-only
/* ENTER: the helper has the kernel take its CQEs, and sleeps. */
#include <linux/cpumask.h>
#include <linux/sched/clock.h>
#include <linux/sched/signal.h>

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

static bool vs_enter_has_work(struct vs_channel *channel)
{
	return vs_cq_peek(&channel->ring) || READ_ONCE(channel->broken);
}

/*
 * Takes and ends what is ready, at most one request for each slot. Returns how many, or why the
 * ring is broken.
 */
static int vs_enter_reap(struct vs_queue *queue, struct vs_channel *channel, u32 sq_head)
{
	struct vs_done done[VS_ENTER_BATCH];
	unsigned int total = 0;
	int count = VS_ENTER_BATCH, ret = 0;

	while (!ret && count == VS_ENTER_BATCH && total < queue->device->slots &&
	       vs_enter_has_work(channel)) {
		vs_fault_delay(VS_FAULT_late_claim);
		ret = vs_reap_claim(queue, channel, done, VS_ENTER_BATCH, &count);
		if (count)
			vs_fault_kill(VS_FAULT_die_claimed, channel->session);
		vs_fault_delay(VS_FAULT_late_end);
		vs_reap_end(queue, channel, done, count);
		total += count;
	}
	ret = ret ?: total;
	if (total)
		vs_fault_kill(VS_FAULT_die_ended, channel->session);
	trace_vramswap_enter(queue, sq_head, ret);
	return ret;
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
		if (!limit_ns || !vs_spin_undisturbed())
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
 * Two that wait for each other awake look to the scheduler like a machine without an idle CPU: it
 * searches for none when one of them has slept, wakes him where the other one runs, and leaves both
 * there for tens of ms, at a quarter of their speed. It looks at one other CPU: where the task ran
 * before. As soon as that is the same one, it is told of another, which it takes if that is idle.
 */
static void vs_enter_name_cpu(void)
{
	unsigned int here = get_cpu();
	unsigned int cpu;

	if (vs_compat_recent_cpu() == here) {
		/* Another one each time. */
		cpu = cpumask_any_and_distribute(current->cpus_ptr, cpu_online_mask);
		if (cpu == here)
			cpu = cpumask_any_and_distribute(current->cpus_ptr, cpu_online_mask);
		vs_compat_name_cpu(cpu);
	}
	put_cpu();
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
		vs_enter_name_cpu();
		schedule();
		*slept = true;
	}
	finish_wait(&channel->wait, &entry);
	vs_sleep_end(&channel->ring);
	clear_bit_unlock(0, &channel->waiting);
	return ret;
}

static void vs_enter_count(struct vs_queue *queue, bool slept)
{
	spin_lock(&queue->reap_lock);
	vs_stats_add(&queue->enters, 1);
	vs_stats_add(&queue->waits, slept);
	spin_unlock(&queue->reap_lock);
}

/*
 * With WAIT: first awake, while whoever waits awake for CQEs is left them; then, whoever may have
 * been stopped on his way to them, all is taken, and we sleep. Returns as vs_enter_reap, or why the
 * wait ended.
 */
static int vs_enter_reap_and_wait(struct vs_queue *queue, struct vs_session *session,
				  const struct vramswap_enter *args, bool *slept)
{
	struct vs_channel *channel = &session->channels[args->queue];
	int ret = 0, rest = 0, waited;

	if (!vs_handover_lasts(&channel->ring))
		ret = vs_enter_reap(queue, channel, args->sq_head);
	if (ret < 0 || vs_enter_spin(session, channel, args->sq_head, args->spin_us))
		return ret;
	if (vs_enter_has_work(channel))
		rest = vs_enter_reap(queue, channel, args->sq_head);
	if (rest < 0)
		return rest;
	waited = vs_enter_wait(session, channel, args->sq_head, slept);
	return waited ?: ret + rest;
}

/*
 * The body of ENTER, for a session that was started, inside an ioctl on its file: channels and
 * staging stay valid. Returns the number of CQEs taken and VRAMSWAP_ENTER_SLEPT, or a negative
 * errno (uapi); for -EBADMSG the caller must end the session.
 */
int vs_enter(struct vs_session *session, const struct vramswap_enter *args)
{
	struct vs_queue *queue = &session->device->queues[args->queue];
	bool slept = false;
	int ret, end;

	vs_fault_kill(VS_FAULT_die_enter, session);
	if (args->flags & VRAMSWAP_ENTER_WAIT)
		ret = vs_enter_reap_and_wait(queue, session, args, &slept);
	else
		ret = vs_enter_reap(queue, &session->channels[args->queue], args->sq_head);
	vs_enter_count(queue, slept);
	end = READ_ONCE(session->end);
	if (ret != -EBADMSG && end)
		return end;
	return slept && ret >= 0 ? ret | VRAMSWAP_ENTER_SLEPT : ret;
}
