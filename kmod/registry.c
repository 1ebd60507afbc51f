// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which devices there are. All under vs_devices_lock, which also keeps a device that was found from
 * going away.
 */
#include <linux/log2.h>
#include <linux/module.h>
#include <linux/nospec.h>
#include <linux/notifier.h>
#include <linux/suspend.h>

#include "vramswap.h"

/* Protects vs_devices, and keeps whatever was found in it. */
DEFINE_MUTEX(vs_devices_lock);
static struct vs_device *vs_devices[VS_MAX_DEVICES];
static bool vs_registry_closed; /* the module is going: no new devices */

/* What is wrong with a shape, as a sentence; NULL if nothing. */
const char *vs_registry_check(const struct vs_shape *shape)
{
	u64 staging = (u64)shape->queues * shape->slots * shape->slot_size;

	if (!shape->queues || shape->queues > VRAMSWAP_MAX_QUEUES)
		return "queues must be 1 to 64";
	if (shape->slots < VRAMSWAP_MIN_SLOTS || shape->slots > VRAMSWAP_MAX_SLOTS)
		return "slots must be 4 to 1024";
	if (!is_power_of_2(shape->slot_size) ||
	    shape->slot_size < max_t(u32, VRAMSWAP_MIN_SLOT_SIZE, PAGE_SIZE) ||
	    shape->slot_size > VRAMSWAP_MAX_SLOT_SIZE)
		return "slot size must be a power of two, from one page to 1 MiB";
	if (staging > VRAMSWAP_MAX_STAGING_BYTES)
		return "queues * slots * slot size must be at most 1 GiB";
	if (shape->hold_timeout_ms > VS_MAX_TIMEOUT_MS)
		return "hold timeout must be at most a day";
	if (shape->io_timeout_ms < VS_MIN_IO_TIMEOUT_MS || shape->io_timeout_ms > VS_MAX_TIMEOUT_MS)
		return "I/O timeout must be a second to a day";
	return NULL;
}

static int vs_registry_free_index(void)
{
	int i;

	for (i = 0; i < VS_MAX_DEVICES; i++)
		if (!vs_devices[i])
			return i;
	return -ENOSPC;
}

/*
 * Makes a device; index -1: the first that is free. Returns its index, or a negative errno, and
 * then in *why a sentence if there is more to say.
 */
int vs_registry_add(int index, const struct vs_shape *shape, const char **why)
{
	struct vs_device *device;

	lockdep_assert_held(&vs_devices_lock);
	if (vs_registry_closed)
		return -ENODEV;
	*why = vs_registry_check(shape);
	if (*why)
		return -EINVAL;
	if (index < 0)
		index = vs_registry_free_index();
	if (index < 0 || index >= VS_MAX_DEVICES) {
		*why = "there are at most 16 devices, 0 to 15";
		return index < 0 ? index : -EINVAL;
	}
	if (vs_devices[index]) {
		*why = "there is a device of this number";
		return -EEXIST;
	}
	device = vs_device_create(index, shape);
	if (IS_ERR(device))
		return PTR_ERR(device);
	vs_devices[index] = device;
	return index;
}

/* -ENODEV: no such device. -EBUSY: it is in use. */
int vs_registry_del(unsigned int index)
{
	struct vs_device *device = vs_registry_find(index);
	int ret;

	if (!device)
		return -ENODEV;
	ret = vs_device_delete(device);
	if (!ret)
		vs_devices[index] = NULL;
	return ret;
}

/* For the module's end: no file of any device is open. Lets no new one in. */
void vs_registry_clear(void)
{
	unsigned int i;

	mutex_lock(&vs_devices_lock);
	vs_registry_closed = true;
	for (i = 0; i < VS_MAX_DEVICES; i++) {
		if (vs_devices[i])
			vs_device_destroy(vs_devices[i]);
		vs_devices[i] = NULL;
	}
	mutex_unlock(&vs_devices_lock);
}

/* NULL if there is none. Valid while vs_devices_lock is held. */
struct vs_device *vs_registry_find(unsigned int index)
{
	lockdep_assert_held(&vs_devices_lock);
	if (index >= VS_MAX_DEVICES)
		return NULL;
	return vs_devices[array_index_nospec(index, VS_MAX_DEVICES)];
}

/*
 * Refuses sleep while pages live in a device: VRAM is not kept, and hibernation swaps out after
 * user space is frozen, which no helper could serve.
 */
static int vs_registry_sleep(struct notifier_block *block, unsigned long event, void *unused)
{
	unsigned int i;
	int ret = NOTIFY_DONE;

	if (event != PM_SUSPEND_PREPARE && event != PM_HIBERNATION_PREPARE)
		return NOTIFY_DONE;
	mutex_lock(&vs_devices_lock);
	for (i = 0; i < VS_MAX_DEVICES; i++) {
		if (vs_devices[i] && vs_device_must_not_sleep(vs_devices[i])) {
			pr_warn(VS_NAME "%u: sleep refused: it holds data; swapoff it and stop its helper\n",
				i);
			ret = notifier_from_errno(-EBUSY);
		}
	}
	mutex_unlock(&vs_devices_lock);
	return ret;
}

static struct notifier_block vs_registry_sleep_block = {
	.notifier_call = vs_registry_sleep,
};

int vs_registry_watch_sleep(void)
{
	if (vs_fault(VS_FAULT_sleep_watch))
		return -ENOMEM;
	return register_pm_notifier(&vs_registry_sleep_block);
}

void vs_registry_unwatch_sleep(void)
{
	unregister_pm_notifier(&vs_registry_sleep_block);
}
