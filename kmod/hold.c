// SPDX-License-Identifier: GPL-2.0-only
/*
 * The time between two helpers: how the loss of one is noticed, and how long its contents are held
 * for another. Requests wait meanwhile.
 */
#include <linux/sched/signal.h>

#include "vramswap.h"

/* The hold time begins, of which held_ns have passed already. device->lock held. */
void vs_hold_arm(struct vs_device *device, u64 held_ns)
{
	unsigned long time = msecs_to_jiffies(device->hold_timeout_ms);
	unsigned long left = time - min(time, nsecs_to_jiffies(held_ns));

	device->hold_half = jiffies + left / 2;
	device->hold_until = jiffies + left;
	mod_delayed_work(vs_workqueue, &device->hold_work, left / 2);
}

static void vs_hold_kill(struct vs_device *device, const struct vs_session *session,
			 const char *why)
{
	pr_warn(VS_NAME "%u: %s; killed\n", device->index, why);
	kill_pid(session->pid, SIGKILL, 1);
}

/* When a session that was opened must have started, jiffies: a GPU's driver takes its time. */
static unsigned long vs_hold_start_by(const struct vs_device *device)
{
	return device->session->opened +
	       min(20UL * HZ, msecs_to_jiffies(device->hold_timeout_ms) / 4);
}

/*
 * A helper that lost the device but lives on, stopped perhaps, keeps its successor from attaching;
 * one that opened it but does not start, stopped or stuck in a driver, keeps all others from
 * opening it. The contents must not be lost for that. Returns when to come again, jiffies.
 */
static unsigned long vs_hold_make_room(struct vs_device *device)
{
	unsigned long start_by;

	if (device->lingering)
		vs_hold_kill(device, device->lingering, "the helper that was lost does not let go");
	if (!device->session)
		return device->hold_until;
	start_by = vs_hold_start_by(device);
	if (time_before(jiffies, start_by))
		return time_before(start_by, device->hold_until) ? start_by : device->hold_until;
	vs_hold_kill(device, device->session, "a helper has the device and does not start");
	return device->hold_until;
}

static void vs_hold_begin(struct vs_device *device)
{
	if (!device->hold_timeout_ms) {
		vs_device_fail(device);
		return;
	}
	/*
	 * A request of which one helper dies after the other, or which none of them answers, must
	 * not be held for ever: its time goes on from the loss of the first.
	 */
	vs_hold_arm(device, vs_device_part(device, VS_GATE_HOLD));
	vs_device_set_state(device, VRAMSWAP_STATE_HELD, VRAMSWAP_EVENT_HELD);
}

/* Comes when half of what was left has gone by, and at the end. */
static void vs_hold_work(struct work_struct *work)
{
	struct vs_device *device = container_of(to_delayed_work(work), struct vs_device, hold_work);

	mutex_lock(&device->lock);
	/* A helper may have come back, and gone again, while this work waited for the lock. */
	if (device->state == VRAMSWAP_STATE_HELD) {
		unsigned long now = jiffies;

		if (time_before(now, device->hold_half)) {
			mod_delayed_work(vs_workqueue, &device->hold_work,
					 device->hold_half - now);
		} else if (time_before(now, device->hold_until)) {
			unsigned long next = vs_hold_make_room(device);

			mod_delayed_work(vs_workqueue, &device->hold_work, next - now);
		} else {
			vs_device_fail(device);
		}
	}
	mutex_unlock(&device->lock);
}

/* The session of a live device is over, but not its contents. */
void vs_hold_lose_helper(struct vs_device *device, int reason)
{
	vs_device_drop_session(device, reason);
	switch (device->state) {
	case VRAMSWAP_STATE_LIVE:
		vs_hold_begin(device);
		break;
	case VRAMSWAP_STATE_ATTACHED:
		vs_device_forget_contents(device);
		vs_device_set_state(device, VRAMSWAP_STATE_EMPTY, VRAMSWAP_EVENT_STOPPED);
		break;
	default:
		break;
	}
}

/* The helper broke the ring. */
void vs_hold_lose_broken(struct vs_device *device)
{
	pr_err(VS_NAME "%u: the helper broke the ring\n", device->index);
	vs_hold_lose_helper(device, -EBADMSG);
}

/* Somebody who must not sleep has doubts about the helper. */
static void vs_hold_doubt_work(struct work_struct *work)
{
	struct vs_device *device = container_of(work, struct vs_device, doubt_work);

	mutex_lock(&device->lock);
	if (device->state == VRAMSWAP_STATE_LIVE && vs_queues_broken(device)) {
		vs_hold_lose_broken(device);
	} else if (device->state == VRAMSWAP_STATE_LIVE && vs_queues_silent(device)) {
		pr_warn(VS_NAME "%u: the helper has not answered for %u ms\n", device->index,
			device->io_timeout_ms);
		vs_hold_lose_helper(device, -ETIMEDOUT);
	}
	mutex_unlock(&device->lock);
}

void vs_hold_init(struct vs_device *device)
{
	INIT_DELAYED_WORK(&device->hold_work, vs_hold_work);
	INIT_WORK(&device->doubt_work, vs_hold_doubt_work);
}
