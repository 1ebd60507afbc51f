// SPDX-License-Identifier: GPL-2.0-only
/*
 * /dev/vramswapcN: a session's calls. Arguments are copied and checked here, once; what is left to
 * do goes to device.c (ATTACH, START, STOP), enter.c (ENTER) and shm.c (mmap).
 */
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/nospec.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "vramswap.h"

static dev_t vs_chardev_first;

/*
 * Numbers of our own, not a miscdevice: all of those are opened under one lock, which others hold
 * while they wait for memory, and so perhaps for the helper that is about to open this.
 */
static struct class vs_chardev_class = {
	.name = VS_NAME,
};

static int vs_chardev_open(struct inode *inode, struct file *file)
{
	struct vs_device *device = container_of(inode->i_cdev, struct vs_device, cdev);
	unsigned int noreclaim = memalloc_noreclaim_save(); /* as in vs_area_list */
	struct vs_session *session =
		vs_fault(VS_FAULT_session) ? NULL : kzalloc(sizeof(*session), VS_GFP);
	int ret;

	memalloc_noreclaim_restore(noreclaim);
	if (!session)
		return -ENOMEM;
	session->device = device;
	session->pid = get_pid(task_tgid(current));
	session->opened = jiffies;
	ret = vs_device_open(device, session);
	if (ret) {
		put_pid(session->pid);
		kfree(session);
		return ret;
	}
	file->private_data = session;
	return nonseekable_open(inode, file);
}

/* The helper's last descriptor and mapping are gone: it closed, or died. */
static int vs_chardev_release(struct inode *inode, struct file *file)
{
	struct vs_session *session = file->private_data;
	struct vs_device *device = session->device;

	vs_device_close(device, session);
	vs_shm_destroy(session);
	put_pid(session->pid);
	kfree(session);
	vs_device_put(device);
	return 0;
}

/*
 * Memory that this thread waits for must not wait for swap, which may wait for this thread. NOIO
 * keeps its allocations from writing pages out; LOCAL_THROTTLE keeps it from being throttled for
 * the dirty pages of others.
 */
static bool vs_chardev_thread_prepared(void)
{
	const unsigned int flusher = PF_MEMALLOC_NOIO | PF_LOCAL_THROTTLE;

	return (current->flags & flusher) == flusher;
}

/*
 * Nor may its memory be what is swapped out. Looked for are the marks of mlockall(MCL_FUTURE) and
 * of memory locked already; that MCL_CURRENT caught all of it is the helper's own affair.
 */
static bool vs_chardev_memory_prepared(void)
{
	const struct mm_struct *mm = current->mm;

	return mm && (mm->def_flags & VM_LOCKED) && READ_ONCE(mm->locked_vm);
}

static bool vs_chardev_all_zero(const void *memory, size_t size)
{
	return !memchr_inv(memory, 0, size);
}

static int vs_chardev_check_attach(const struct vramswap_attach *args)
{
	if (args->flags || args->reserved0 ||
	    !vs_chardev_all_zero(args->reserved1, sizeof(args->reserved1)))
		return -EINVAL;
	if (!memchr(args->label, '\0', sizeof(args->label)))
		return -EINVAL;
	if (args->capacity < VRAMSWAP_MIN_CAPACITY || args->capacity > VRAMSWAP_MAX_CAPACITY ||
	    args->capacity % VRAMSWAP_BLOCK_SIZE)
		return -ERANGE;
	return 0;
}

static int vs_chardev_attach(struct vs_session *session, void __user *arg)
{
	struct vramswap_attach args;
	int ret;

	if (copy_from_user(&args, arg, sizeof(args)))
		return -EFAULT;
	if (args.abi_version != VRAMSWAP_ABI_VERSION) {
		args.abi_version = VRAMSWAP_ABI_VERSION;
		return copy_to_user(arg, &args, sizeof(args)) ? -EFAULT : -EPROTONOSUPPORT;
	}
	ret = vs_chardev_check_attach(&args);
	if (!ret)
		ret = vs_device_attach(session->device, session, &args);
	if (!ret && (vs_fault(VS_FAULT_attach_answer) || copy_to_user(arg, &args, sizeof(args))))
		ret = -EFAULT;
	return ret;
}

static int vs_chardev_start(struct vs_session *session)
{
	bool prepared = vs_chardev_thread_prepared() && vs_chardev_memory_prepared();

	return vs_device_start(session->device, session, prepared);
}

static int vs_chardev_enter(struct vs_session *session, void __user *arg)
{
	unsigned int queues = session->device->queue_count;
	struct vramswap_enter args;
	int ret;

	if (copy_from_user(&args, arg, sizeof(args)))
		return -EFAULT;
	if (args.queue >= queues || args.flags & ~VRAMSWAP_ENTER_WAIT ||
	    args.reserved0)
		return -EINVAL;
	/* Pairs with vs_device_start: who sees started also sees what START set up. */
	if (!smp_load_acquire(&session->started))
		return READ_ONCE(session->end) ?: -ENOTCONN;
	if (!vs_chardev_thread_prepared())
		return -EDEADLK;
	args.queue = array_index_nospec(args.queue, queues);
	ret = vs_enter(session, &args);
	if (ret == -EBADMSG)
		vs_device_break(session->device, session);
	return ret;
}

static long vs_chardev_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct vs_session *session = file->private_data;

	switch (cmd) {
	case VRAMSWAP_IOC_ENTER:
		return vs_chardev_enter(session, (void __user *)arg);
	case VRAMSWAP_IOC_ATTACH:
		return vs_chardev_attach(session, (void __user *)arg);
	case VRAMSWAP_IOC_START:
		return vs_chardev_start(session);
	case VRAMSWAP_IOC_STOP:
		return vs_device_stop(session->device, session);
	default:
		return -ENOTTY;
	}
}

static int vs_chardev_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct vs_session *session = file->private_data;
	unsigned int noreclaim;
	int ret;

	/*
	 * Page tables, a few pages: under the lock that the end of a hold needs, they come from the
	 * reserves or are not had. (Without reclaim for I/O alone they would be tried for ever.)
	 */
	noreclaim = memalloc_noreclaim_save();
	mutex_lock(&session->device->lock);
	if (session->end)
		ret = session->end;
	else if (!session->attached)
		ret = -ENOTCONN;
	else
		ret = vs_shm_mmap(session, vma);
	mutex_unlock(&session->device->lock);
	memalloc_noreclaim_restore(noreclaim);
	return ret;
}

static const struct file_operations vs_chardev_fops = {
	.owner = THIS_MODULE,
	.open = vs_chardev_open,
	.release = vs_chardev_release,
	.unlocked_ioctl = vs_chardev_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.mmap = vs_chardev_mmap,
};

/* Makes room for all devices' numbers. */
int vs_chardev_init(void)
{
	int ret = vs_fault(VS_FAULT_chardev_region) ?
			  -ENOMEM :
			  alloc_chrdev_region(&vs_chardev_first, 0, VS_MAX_DEVICES, VS_NAME);

	if (ret)
		return ret;
	ret = vs_fault(VS_FAULT_chardev_class) ? -ENOMEM : class_register(&vs_chardev_class);
	if (ret)
		unregister_chrdev_region(vs_chardev_first, VS_MAX_DEVICES);
	return ret;
}

void vs_chardev_exit(void)
{
	class_unregister(&vs_chardev_class);
	unregister_chrdev_region(vs_chardev_first, VS_MAX_DEVICES);
}

/* Makes /dev/vramswapcN, for root alone. */
int vs_chardev_register(struct vs_device *device)
{
	int ret = vs_fault(VS_FAULT_chardev_name) ?
			  -ENOMEM :
			  dev_set_name(&device->node, VS_NAME "c%u", device->index);

	if (ret)
		return ret;
	device->node.class = &vs_chardev_class;
	device->node.devt = vs_chardev_first + device->index;
	cdev_init(&device->cdev, &vs_chardev_fops);
	device->cdev.owner = THIS_MODULE;
	return vs_fault(VS_FAULT_chardev) ? -ENOMEM :
					    cdev_device_add(&device->cdev, &device->node);
}

/* Files that are open stay so. */
void vs_chardev_unregister(struct vs_device *device)
{
	cdev_device_del(&device->cdev, &device->node);
}
