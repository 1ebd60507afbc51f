// SPDX-License-Identifier: GPL-2.0-only
/* Start and stop of the module. */
#include <linux/cpumask.h>
#include <linux/module.h>

#include "vramswap.h"

static unsigned int devices = 1;
module_param(devices, uint, 0444);
MODULE_PARM_DESC(devices, "devices made at load, 0 to 16 (default 1)");

static struct vs_shape shape = {
	.slots = VS_DEFAULT_SLOTS,
	.slot_size = VS_DEFAULT_SLOT_SIZE,
	.hold_timeout_ms = VS_DEFAULT_HOLD_TIMEOUT_MS,
	.io_timeout_ms = VS_DEFAULT_IO_TIMEOUT_MS,
};

module_param_named(queues, shape.queues, uint, 0444);
MODULE_PARM_DESC(queues, "queues of each device, 1 to 64 (default: one for each CPU, at most 4)");
module_param_named(slots, shape.slots, uint, 0444);
MODULE_PARM_DESC(slots, "requests under way in each queue, 4 to 1024 (default 64)");
module_param_named(slot_size, shape.slot_size, uint, 0444);
MODULE_PARM_DESC(slot_size, "bytes of the largest request, a power of two up to 1048576 (default 131072)");
module_param_named(hold_timeout_ms, shape.hold_timeout_ms, uint, 0444);
MODULE_PARM_DESC(hold_timeout_ms, "how long requests wait for a lost helper to come back (default 120000)");
module_param_named(io_timeout_ms, shape.io_timeout_ms, uint, 0444);
MODULE_PARM_DESC(io_timeout_ms, "how long a helper may leave a request unanswered (default 30000)");

struct workqueue_struct *vs_workqueue;

/* How devices are made unless a request says otherwise. */
const struct vs_shape *vs_default_shape(void)
{
	return &shape;
}

/* Looks at the parameters before anything is made: what users can open must not be taken back. */
static int __init vs_main_check(void)
{
	const char *why;

	if (!shape.queues)
		shape.queues = min(num_online_cpus(), VS_DEFAULT_QUEUES);
	why = vs_registry_check(&shape);
	if (devices > VS_MAX_DEVICES)
		why = "devices must be 0 to 16";
	if (!why)
		return 0;
	pr_err(VS_NAME ": bad parameter: %s\n", why);
	return -EINVAL;
}

/* Fails only if there is none to show for it. */
static int __init vs_main_add_devices(void)
{
	const char *why = NULL;
	unsigned int i;
	int ret = 0;

	mutex_lock(&vs_devices_lock);
	for (i = 0; i < devices; i++) {
		ret = vs_registry_add(i, &shape, &why);
		if (ret < 0)
			break;
	}
	mutex_unlock(&vs_devices_lock);
	if (ret >= 0)
		return 0;
	pr_err(VS_NAME ": no device %u: %s\n", i, why ?: "out of memory or names");
	return i ? 0 : ret;
}

static int __init vs_main_init(void)
{
	int ret = vs_main_check();

	if (ret)
		return ret;
	/* MEM_RECLAIM: ending a hold is what reclaim may wait for. */
	vs_workqueue = vs_fault(VS_FAULT_workqueue) ?
			       NULL :
			       alloc_workqueue(VS_NAME, WQ_MEM_RECLAIM | WQ_UNBOUND, 0);
	if (!vs_workqueue)
		return -ENOMEM;
	ret = vs_registry_watch_sleep();
	if (ret)
		goto destroy_workqueue;
	ret = vs_chardev_init();
	if (ret)
		goto unwatch_sleep;
	/* Before the first device, which is announced there. */
	ret = vs_genl_register();
	if (ret)
		goto exit_chardev;
	ret = vs_main_add_devices();
	if (ret)
		goto clear_registry;
	return 0;

clear_registry:
	vs_registry_clear();
	vs_genl_unregister();
exit_chardev:
	vs_chardev_exit();
unwatch_sleep:
	vs_registry_unwatch_sleep();
destroy_workqueue:
	destroy_workqueue(vs_workqueue);
	return ret;
}

static void __exit vs_main_exit(void)
{
	vs_registry_clear();
	vs_genl_unregister();
	vs_chardev_exit();
	vs_registry_unwatch_sleep();
	destroy_workqueue(vs_workqueue);
}

module_init(vs_main_init);
module_exit(vs_main_exit);

MODULE_DESCRIPTION("Swap to memory that a user-space helper owns, such as a GPU's");
MODULE_AUTHOR("The vramswap authors");
MODULE_LICENSE("GPL");
