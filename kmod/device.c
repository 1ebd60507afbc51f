// SPDX-License-Identifier: GPL-2.0-only
/*
 * A device's life: the one place where its state is set (hold.c: what leads to it between helpers).
 *
 *	state     to        when                                    contents, requests
 *	EMPTY     ATTACHED  ATTACH without a cookie                 none
 *	ATTACHED  LIVE      START                                   new, undefined; served
 *	ATTACHED  EMPTY     the session ends                        none
 *	LIVE      EMPTY     STOP, while nobody has the disk open    given up
 *	HELD      EMPTY     STOP by a helper of these contents,     given up
 *	                    while nobody has the disk open
 *	LIVE      HELD      the helper dies, breaks the ring        kept by the helper's keeper;
 *	                    or is silent                            requests wait
 *	HELD      HELD      ATTACH with the contents' cookie,       as before
 *	                    or its end
 *	HELD      LIVE      START                                   as before; held requests are
 *	                                                            sent again
 *	HELD      FAILED    the hold time is over, since this       lost; requests fail, capacity 0
 *	                    helper was lost or since some request
 *	                    was held first
 *	LIVE      FAILED    as LIVE to HELD, with a hold time of 0  as HELD to FAILED
 *	FAILED    ATTACHED  ATTACH without a cookie, disk not open  none
 *
 * The gate tells queue_rq what to do: SEND in LIVE, HOLD in HELD, FAIL in all others (where
 * capacity is 0 anyway).
 */
#include <linux/random.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "vramswap.h"
#include "trace.h"

static const char *const vs_state_names[] = {
	[VRAMSWAP_STATE_EMPTY] = "empty",   [VRAMSWAP_STATE_ATTACHED] = "attached",
	[VRAMSWAP_STATE_LIVE] = "live",     [VRAMSWAP_STATE_HELD] = "held",
	[VRAMSWAP_STATE_FAILED] = "failed",
};

void vs_device_set_state(struct vs_device *device, enum vramswap_state state,
			 enum vramswap_event event)
{
	unsigned int noio = memalloc_noio_save();

	lockdep_assert_held(&device->lock);
	pr_info(VS_NAME "%u: %s -> %s\n", device->index, vs_state_names[device->state],
		vs_state_names[state]);
	trace_vramswap_state(device->index, device->state, state, device->reason);
	device->state = state;
	vs_reserve_update(device);
	vs_genl_event(device, event);
	memalloc_noio_restore(noio);
}

/*
 * Parts the queues from their session and shuts the gate: requests in slots are held or failed, as
 * it says. Returns how long ago the first of them was held first, ns.
 */
u64 vs_device_part(struct vs_device *device, enum vs_gate gate)
{
	u64 held_ns;

	WRITE_ONCE(device->gate, gate);
	blk_mq_quiesce_queue(device->disk->queue);
	held_ns = vs_queues_unbind(device);
	if (gate == VS_GATE_FAIL)
		vs_queues_fail(device);
	blk_mq_unquiesce_queue(device->disk->queue);
	return held_ns;
}

/* Joins the queues to a session, sends what was held and opens the gate. */
static void vs_device_join(struct vs_device *device, struct vs_session *session)
{
	blk_mq_quiesce_queue(device->disk->queue);
	vs_queues_bind(device, session);
	vs_queues_replay(device);
	smp_store_release(&device->gate, VS_GATE_SEND); /* after the channels */
	smp_wmb(); /* before the queue is seen unquiesced; both pair with vs_queue_gate */
	blk_mq_unquiesce_queue(device->disk->queue);
}

/* Lets a session go: its calls return reason from now on. The queues may still be joined to it. */
void vs_device_drop_session(struct vs_device *device, int reason)
{
	struct vs_session *session = device->session;
	unsigned int i;

	if (!session)
		return;
	device->session = NULL;
	device->reason = -reason;
	WRITE_ONCE(session->end, reason);
	if (session->started && reason != -ESHUTDOWN)
		device->lingering = session;
	for (i = 0; session->channels && i < device->queue_count; i++)
		wake_up_all(&session->channels[i].wait);
}

/* Contents are given up, or lost. */
void vs_device_forget_contents(struct vs_device *device)
{
	vs_shm_forget_spare(device);
	vs_area_destroy(&device->map);
	device->cookie = 0;
	device->capacity = 0;
	device->label[0] = '\0';
}

/* The contents are lost. */
void vs_device_fail(struct vs_device *device)
{
	vs_device_drop_session(device, -ESTALE);
	vs_device_part(device, VS_GATE_FAIL);
	vs_disk_set_capacity(device, 0);
	vs_device_forget_contents(device);
	vs_device_set_state(device, VRAMSWAP_STATE_FAILED, VRAMSWAP_EVENT_FAILED);
}

static void vs_device_free(struct device *node)
{
	struct vs_device *device = container_of(node, struct vs_device, node);

	vs_queues_destroy(device);
	mutex_destroy(&device->lock);
	kfree(device);
}

/* The last reference to a deleted device is that of the last file of an ended session. */
void vs_device_put(struct vs_device *device)
{
	put_device(&device->node);
}

/* The helper broke the ring. */
void vs_device_break(struct vs_device *device, struct vs_session *session)
{
	mutex_lock(&device->lock);
	if (device->session == session)
		vs_hold_lose_broken(device);
	mutex_unlock(&device->lock);
}

/* The session's file is closed: no thread of its helper can touch the contents any more. */
void vs_device_close(struct vs_device *device, struct vs_session *session)
{
	bool last;

	mutex_lock(&device->lock);
	last = device->session == session || device->lingering == session;
	if (device->session == session)
		vs_hold_lose_helper(device, -ESHUTDOWN);
	if (device->lingering == session)
		device->lingering = NULL;
	if (last)
		vs_shm_retire(session);
	mutex_unlock(&device->lock);
}

/*
 * A new session, for a new file, which gets a reference to the device. -EBUSY: there is one.
 * -ENODEV: the device is being deleted.
 */
int vs_device_open(struct vs_device *device, struct vs_session *session)
{
	int ret = 0;

	mutex_lock(&device->lock);
	if (device->deleting)
		ret = -ENODEV;
	else if (device->session)
		ret = -EBUSY;
	else
		device->session = session;
	if (!ret)
		get_device(&device->node);
	mutex_unlock(&device->lock);
	return ret;
}

/*
 * May a session with this cookie and capacity attach? A device that failed must have lost its users
 * first.
 */
static int vs_device_check_attach(struct vs_device *device, const struct vs_session *session,
				  u64 cookie, u64 capacity)
{
	if (session->end)
		return session->end;
	if (session->attached)
		return -EALREADY;
	/* A stopped process could go on with an old write after a new helper stored a newer one. */
	if (device->lingering)
		return -EBUSY;
	if (device->state == VRAMSWAP_STATE_HELD) {
		if (!cookie)
			return -EEXIST;
		if (cookie != device->cookie)
			return -ESTALE;
		return capacity == device->capacity ? 0 : -ERANGE;
	}
	if (cookie)
		return -ESTALE;
	return device->state == VRAMSWAP_STATE_FAILED ? vs_disk_close(device) : 0;
}

static int vs_device_new_contents(struct vs_device *device, const struct vramswap_attach *args)
{
	u64 blocks = args->capacity / VRAMSWAP_BLOCK_SIZE;
	u64 size = DIV_ROUND_UP(blocks, 64) * sizeof(u64);
	int ret = vs_fault(VS_FAULT_contents) ? -ENOMEM :
						vs_area_create(&device->map, VS_AREA_MAP, size);

	if (ret)
		return ret;
	do
		device->cookie = get_random_u64();
	while (!device->cookie);
	device->capacity = args->capacity;
	strscpy(device->label, args->label, sizeof(device->label));
	return 0;
}

/*
 * Makes a session's memory and, without a cookie, new contents. args: valid; its answers are filled
 * in. Errors: uapi.
 */
int vs_device_attach(struct vs_device *device, struct vs_session *session,
		     struct vramswap_attach *args)
{
	int ret;

	mutex_lock(&device->lock);
	ret = vs_device_check_attach(device, session, args->cookie, args->capacity);
	if (ret)
		goto unlock;
	ret = vs_shm_create(session);
	if (ret)
		goto unlock;
	if (!args->cookie) {
		ret = vs_device_new_contents(device, args);
		if (ret)
			goto destroy_shm;
		vs_device_set_state(device, VRAMSWAP_STATE_ATTACHED, VRAMSWAP_EVENT_ATTACHED);
	}
	session->areas[VS_AREA_MAP] = device->map;
	session->attached = true;
	vs_shm_describe(session, args);
	mutex_unlock(&device->lock);
	return 0;

destroy_shm:
	vs_shm_destroy(session);
unlock:
	mutex_unlock(&device->lock);
	return ret;
}

/* Goes live. prepared: whether the caller can survive reclaim. Errors: uapi. */
int vs_device_start(struct vs_device *device, struct vs_session *session, bool prepared)
{
	int ret = 0;

	mutex_lock(&device->lock);
	if (session->end)
		ret = session->end;
	else if (!session->attached)
		ret = -ENOTCONN;
	else if (session->started)
		ret = -EALREADY;
	else if (!prepared)
		ret = -EDEADLK;
	if (ret)
		goto unlock;

	vs_device_join(device, session);
	/* Pairs with vs_chardev_enter, which must find all of the above done. */
	smp_store_release(&session->started, true);
	if (device->state == VRAMSWAP_STATE_ATTACHED)
		vs_disk_set_capacity(device, device->capacity);
	device->reason = 0;
	vs_device_set_state(device, VRAMSWAP_STATE_LIVE, VRAMSWAP_EVENT_LIVE);
	cancel_delayed_work(&device->hold_work);
unlock:
	mutex_unlock(&device->lock);
	return ret;
}

/*
 * Stops in good order: gives the contents up, live or held, if nobody uses them; else -EBUSY.
 * Errors: uapi.
 */
int vs_device_stop(struct vs_device *device, struct vs_session *session)
{
	int ret = 0;

	mutex_lock(&device->lock);
	if (session->end)
		ret = session->end;
	else if (!session->attached)
		ret = -ENOTCONN;
	else if (device->state != VRAMSWAP_STATE_ATTACHED)
		ret = vs_disk_close(device);
	if (ret)
		goto unlock;

	vs_device_drop_session(device, -ESHUTDOWN);
	vs_device_part(device, VS_GATE_FAIL);
	vs_disk_set_capacity(device, 0);
	vs_device_forget_contents(device);
	vs_device_set_state(device, VRAMSWAP_STATE_EMPTY, VRAMSWAP_EVENT_STOPPED);
unlock:
	mutex_unlock(&device->lock);
	return ret;
}

/*
 * Milliseconds; NULL leaves one as it is. A new hold time counts from now, also for a device that
 * is held.
 */
void vs_device_set_timeouts(struct vs_device *device, const u32 *hold_ms, const u32 *io_ms)
{
	mutex_lock(&device->lock);
	if (io_ms) {
		WRITE_ONCE(device->io_timeout_ms, *io_ms);
		vs_disk_set_timeout(device);
	}
	if (hold_ms) {
		device->hold_timeout_ms = *hold_ms;
		device->hold_changed_ns = ktime_get_ns();
		if (device->state == VRAMSWAP_STATE_HELD)
			vs_hold_arm(device, 0);
	}
	mutex_unlock(&device->lock);
}

/*
 * True while the device holds bytes that sleep would lose: VRAM is not kept, and swapping out would
 * hang.
 */
bool vs_device_must_not_sleep(struct vs_device *device)
{
	bool ret;

	mutex_lock(&device->lock);
	ret = (device->state == VRAMSWAP_STATE_LIVE || device->state == VRAMSWAP_STATE_HELD) &&
	      vs_map_used(&device->map);
	mutex_unlock(&device->lock);
	return ret;
}

static void vs_device_tell(struct vs_device *device, enum vramswap_event event)
{
	mutex_lock(&device->lock);
	vs_genl_event(device, event);
	mutex_unlock(&device->lock);
}

/*
 * Makes an empty device with its disk and character device. shape: checked, no defaults left to
 * fill in.
 */
struct vs_device *vs_device_create(unsigned int index, const struct vs_shape *shape)
{
	struct vs_device *device =
		vs_fault(VS_FAULT_device) ? NULL : kzalloc(sizeof(*device), GFP_KERNEL);
	int ret;

	if (!device)
		return ERR_PTR(-ENOMEM);
	device->index = index;
	device->queue_count = shape->queues;
	device->slots = shape->slots;
	device->slot_size = shape->slot_size;
	device->hold_timeout_ms = shape->hold_timeout_ms;
	device->io_timeout_ms = shape->io_timeout_ms;
	device_initialize(&device->node);
	device->node.release = vs_device_free;
	mutex_init(&device->lock);
	vs_hold_init(device);
	vs_reserve_init(device);

	ret = vs_queues_create(device);
	if (ret)
		goto put_device;
	ret = vs_disk_create(device);
	if (ret)
		goto put_device;
	ret = vs_chardev_register(device);
	if (ret)
		goto destroy_disk;
	vs_device_tell(device, VRAMSWAP_EVENT_ADDED);
	return device;

destroy_disk:
	vs_disk_destroy(device);
put_device:
	vs_device_put(device);
	return ERR_PTR(ret);
}

/* Is the device free to go? From then on nobody can open it for a session. */
static int vs_device_retire(struct vs_device *device)
{
	int ret = -EBUSY;

	mutex_lock(&device->lock);
	if (!device->session && (device->state == VRAMSWAP_STATE_EMPTY ||
				 device->state == VRAMSWAP_STATE_FAILED))
		ret = vs_disk_close(device);
	if (!ret)
		device->deleting = true;
	mutex_unlock(&device->lock);
	return ret;
}

/* -EBUSY while a helper is attached, contents are held or the disk is open. */
int vs_device_delete(struct vs_device *device)
{
	int ret = vs_device_retire(device);

	if (!ret)
		vs_device_destroy(device);
	return ret;
}

/* Deletes a device that has neither session nor opener, whatever its state. */
void vs_device_destroy(struct vs_device *device)
{
	vs_chardev_unregister(device);
	mutex_lock(&device->lock);
	if (device->state == VRAMSWAP_STATE_HELD)
		vs_device_fail(device);
	mutex_unlock(&device->lock);
	vs_device_tell(device, VRAMSWAP_EVENT_DELETED);
	cancel_delayed_work_sync(&device->hold_work);
	vs_reserve_destroy(device);
	vs_disk_destroy(device);
	cancel_work_sync(&device->doubt_work);
	vs_device_put(device);
}
