// SPDX-License-Identifier: GPL-2.0-only
/*
 * The submitter of a request that he would sleep for waits for its answer here instead, and takes
 * it (6): no sleep, no wake-up, no ENTER. That halves the time of a page fault.
 *
 * It costs his CPU, so nobody else must want that. And it is for one who would sleep until then
 * anyway: whoever goes on to submit, as with io_uring, must not be made to wait, and looks just the
 * same while he is: so now and then one is not, and if he has not slept when his next request
 * comes, it is over with waiting.
 */
#include <linux/hash.h>
#include <linux/module.h>
#include <linux/preempt.h>
#include <linux/sched.h>
#include <linux/sched/clock.h>
#include <linux/sched/stat.h>

#include "vramswap.h"
#include "compat.h"

/* Longer than a GPU takes for a page, shorter than a sleep and two wake-ups pay for. */
static unsigned int spin_us = 50;
module_param(spin_us, uint, 0644);
MODULE_PARM_DESC(spin_us, "how long the submitter of a request waits for it awake, up to 1000 (default 50; 0: never)");
#define VS_SPIN_MAX_US 1000U

/* So many must have been slept for before one is waited for; one of so many then is not. */
#define VS_SPIN_WAITS 16
#define VS_SPIN_PROBE 256

/* After the second wait in vain, and each that follows: requests not to wait for, up to this. */
#define VS_SPIN_MAX_PENALTY 1023U

/* Requests ended without preemption in between; mostly there is just the one. */
#define VS_SPIN_BATCH 4

/* Looks at the CQ, with a pause each, between two looks at the clock. */
#define VS_SPIN_LOOKS 16

/* Does no other task want this CPU? Then, and only then, may one wait awake, here and in ENTER. */
bool vs_spin_undisturbed(void)
{
	return single_task_running() && !vs_compat_need_resched();
}

/*
 * Is this request, about to be sent, one whose submitter may wait awake, here and now? Never in a
 * kernel thread, which has others to serve, nor where requests are ended, perhaps the helper's own
 * thread, nor where another task wants to run, nor for WRITE_ZEROES, which may take long.
 */
bool vs_spin_may(const struct request *rq)
{
	return op_is_sync(rq->cmd_flags) && !(rq->cmd_flags & (REQ_RAHEAD | REQ_NOWAIT)) &&
	       (req_op(rq) == REQ_OP_READ || req_op(rq) == REQ_OP_WRITE) &&
	       !(current->flags & PF_KTHREAD) && in_task() && !softirq_count() &&
	       !IS_ENABLED(CONFIG_PREEMPT_RT) && num_online_cpus() > 1 && READ_ONCE(spin_us) &&
	       vs_spin_undisturbed();
}

/* This task's place, or that of another which shares it. */
static struct vs_spin_history *vs_spin_mine(struct vs_queue *queue)
{
	return &queue->tasks[hash_32(current->pid, VS_SPIN_TASKS_SHIFT)];
}

/*
 * Such a request is about to be published. Counts those in a row that this task sent, each after it
 * had waited for the last, asleep or in vs_spin; others' do not matter. Returns whether it should
 * wait for this one awake. Submit lock held.
 */
bool vs_spin_note(struct vs_queue *queue)
{
	struct vs_spin_history *mine = vs_spin_mine(queue);
	bool waited = READ_ONCE(mine->spun) || mine->sleeps != current->nvcsw;

	lockdep_assert_held(&queue->submit_lock);
	mine->waits = waited && mine->pid == current->pid ? mine->waits + 1 : 0;
	WRITE_ONCE(mine->pid, current->pid);
	mine->sleeps = current->nvcsw;
	WRITE_ONCE(mine->spun, false);
	return mine->waits >= VS_SPIN_WAITS && mine->waits % VS_SPIN_PROBE;
}

/* This task has waited for its last request. The place may be another's by now. */
static void vs_spin_say_spun(struct vs_queue *queue)
{
	struct vs_spin_history *mine = vs_spin_mine(queue);

	if (READ_ONCE(mine->pid) == current->pid)
		WRITE_ONCE(mine->spun, true);
}

/* Is the slot still out with this generation? */
static bool vs_spin_out(const struct vs_queue *queue, unsigned int index, u32 generation)
{
	return READ_ONCE(queue->slots[index].owner) == (generation | VS_SLOT_HELPER);
}

/*
 * Until a CQE is there: true. False if someone else claimed the slot, time is up, or another task
 * wants to run.
 */
static bool vs_spin_wait(struct vs_queue *queue, struct vs_channel *channel, unsigned int index,
			 u32 generation, u64 until_ns)
{
	unsigned int looks;

	for (looks = 1; !vs_cq_peek(&channel->ring); looks++) {
		if (!vs_spin_out(queue, index, generation))
			return false;
		if (!vs_spin_undisturbed())
			return false;
		if (looks % VS_SPIN_LOOKS == 0 && local_clock() >= until_ns)
			return false;
		cpu_relax();
	}
	return true;
}

/*
 * Takes some of what is there; if the flag is up, it is down before requests end, which may take
 * long. Without preemption: claimed requests would wait for as long as this task does not run.
 */
static int vs_spin_reap(struct vs_queue *queue, struct vs_channel *channel, bool flag_up)
{
	struct vs_done done[VS_SPIN_BATCH];
	int count, ret;

	vs_fault_delay(VS_FAULT_spin_late_claim);
	ret = vs_reap_claim(queue, channel, done, VS_SPIN_BATCH, &count);
	if (flag_up)
		vs_handover_end(&channel->ring);
	if (count)
		vs_fault_kill(VS_FAULT_spin_die_claimed, channel->session);
	vs_fault_delay(VS_FAULT_spin_late_end);
	vs_reap_end(queue, channel, done, count);
	if (count)
		vs_fault_kill(VS_FAULT_spin_die_ended, channel->session);
	return ret;
}

/*
 * Takes what is there until it is this slot's, or time is up, however much others get. Without
 * preemption.
 */
static int vs_spin_until(struct vs_queue *queue, struct vs_channel *channel, unsigned int index,
			 u32 generation)
{
	u64 limit_ns = min(READ_ONCE(spin_us), VS_SPIN_MAX_US) * (u64)NSEC_PER_USEC;
	u64 until_ns = local_clock() + limit_ns;
	bool more;
	int ret;

	do {
		vs_handover_begin(&channel->ring);
		more = vs_spin_wait(queue, channel, index, generation, until_ns);
		ret = vs_spin_reap(queue, channel, true);
	} while (!ret && more && vs_spin_out(queue, index, generation) && vs_spin_undisturbed() &&
		 local_clock() < until_ns);
	return ret;
}

/*
 * One wait in vain means little: a timer's tick, another program for a moment. With each more that
 * follows twice as many are not waited for.
 */
static void vs_spin_in_vain(struct vs_spin_luck *luck)
{
	luck->skip = luck->penalty;
	luck->penalty = min(2 * luck->penalty + 1, VS_SPIN_MAX_PENALTY);
}

/*
 * Waits for the request that went out in this slot with this generation, if that promises to be
 * quick. It may have ended long ago. woken: the helper slept, and has just been woken for it: that
 * too takes less than a sleep of one's own, and one's next request then finds it awake; but how
 * long it takes is another matter. Inside queue_rq, so that the channel stays.
 */
void vs_spin(struct vs_queue *queue, unsigned int index, u32 generation, bool woken)
{
	struct vs_spin_luck *luck = &queue->luck[woken];
	struct vs_channel *channel = queue->channel;
	unsigned int i;
	int ret;

	if (test_and_set_bit_lock(0, &channel->spinning))
		return;
	if (!vs_spin_out(queue, index, generation)) {
		vs_spin_say_spun(queue); /* the helper had this very CPU meanwhile */
		goto unlock;
	}
	if (luck->skip) {
		luck->skip--;
		goto unlock;
	}

	/* Without preemption: while the flag is up the helper does not enter. */
	preempt_disable();
	ret = vs_spin_until(queue, channel, index, generation);
	for (i = 0; !ret && i < queue->device->slots && vs_cq_peek(&channel->ring); i++) { /* (O) */
		ret = vs_spin_reap(queue, channel, false);
		preempt_enable(); /* whoever else wants to run */
		preempt_disable();
	}
	preempt_enable();
	if (ret)
		queue_work(vs_workqueue, &queue->device->doubt_work);

	if (!vs_spin_out(queue, index, generation)) {
		vs_spin_say_spun(queue);
		vs_stats_add(&queue->spins, 1);
		luck->penalty = 0;
	} else {
		vs_spin_in_vain(luck);
	}
unlock:
	clear_bit_unlock(0, &channel->spinning);
}
