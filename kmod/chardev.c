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

static int vs_chardev_open(struct inode *inode, struct file *file)
{
	struct vs_device *device = container_of(file->private_data, struct vs_device, misc);
	struct vs_session *session =
		vs_fault(VS_FAULT_session) ? NULL : kzalloc(sizeof(*session), VS_GFP);
	int ret;

	if (!session)
		return -ENOMEM;
	session->device = device;
	session->pid = get_pid(task_tgid(current));
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
	    args.reserved0 || args.reserved1)
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
	unsigned int noio;
	int ret;

	/* Page tables: under the lock that the end of a hold needs, nothing waits for I/O. */
	noio = memalloc_noio_save();
	mutex_lock(&session->device->lock);
	if (session->end)
		ret = session->end;
	else if (!session->attached)
		ret = -ENOTCONN;
	else
		ret = vs_shm_mmap(session, vma);
	mutex_unlock(&session->device->lock);
	memalloc_noio_restore(noio);
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

/* Makes /dev/vramswapcN. */
int vs_chardev_register(struct vs_device *device)
{
	snprintf(device->misc_name, sizeof(device->misc_name), VS_NAME "c%u", device->index);
	device->misc.minor = MISC_DYNAMIC_MINOR;
	device->misc.name = device->misc_name;
	device->misc.fops = &vs_chardev_fops;
	device->misc.mode = 0600;
	return vs_fault(VS_FAULT_chardev) ? -ENOMEM : misc_register(&device->misc);
}
