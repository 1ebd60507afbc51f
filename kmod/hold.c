// SPDX-License-Identifier: GPL-2.0-only
/*
 * The time between two helpers: how the loss of one is noticed, and how long its contents are held
 * for another. Requests wait meanwhile.
 */
#include <linux/sched/signal.h>

#include "vramswap.h"

static unsigned long vs_hold_time(const struct vs_device *device)
{
	return msecs_to_jiffies(device->hold_timeout_ms);
}

/* The hold time begins, of which held_ns have passed already. */
void vs_hold_arm(struct vs_device *device, u64 held_ns)
{
	unsigned long time = vs_hold_time(device);

	device->held_since_ns = ktime_get_ns();
	device->hold_until = jiffies + time - min(time, nsecs_to_jiffies(held_ns));
	mod_delayed_work(vs_workqueue, &device->hold_work, 0);
}

/*
 * A helper that lost the device but lives on, stopped perhaps, keeps its successor from attaching.
 * The contents must not be lost for that.
 */
static void vs_hold_end_lingering(struct vs_device *device)
{
	if (!device->lingering)
		return;
	pr_warn(VS_NAME "%u: the helper that was lost does not let go; killed\n", device->index);
	kill_pid(device->lingering->pid, SIGKILL, 1);
}

static void vs_hold_begin(struct vs_device *device)
{
	if (!device->hold_timeout_ms) {
		vs_device_fail(device);
		return;
	}
	/*
	 * A request of which one helper dies after the other must not be held for ever: the times
	 * that it was count together.
	 */
	vs_hold_arm(device, vs_device_part(device, VS_GATE_HOLD));
	vs_device_set_state(device, VRAMSWAP_STATE_HELD, VRAMSWAP_EVENT_HELD);
}

/* Comes at once, when half of the time is left, and at the end. */
static void vs_hold_work(struct work_struct *work)
{
	struct vs_device *device = container_of(to_delayed_work(work), struct vs_device, hold_work);

	mutex_lock(&device->lock);
	/* A helper may have come back, and gone again, while this work waited for the lock. */
	if (device->state == VRAMSWAP_STATE_HELD) {
		long left = device->hold_until - jiffies;
		long half = DIV_ROUND_UP(vs_hold_time(device), 2);

		if (left > half) {
			mod_delayed_work(vs_workqueue, &device->hold_work, left - half);
		} else if (left > 0) {
			vs_hold_end_lingering(device);
			mod_delayed_work(vs_workqueue, &device->hold_work, left);
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
