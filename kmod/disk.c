// SPDX-License-Identifier: GPL-2.0-only
/* The block device's face to the kernel: gendisk, limits, capacity, who has it open. */
#include <linux/module.h>
#include <linux/sched/mm.h>

#include "vramswap.h"
#include "compat.h"

static const struct block_device_operations vs_disk_ops = {
	.owner = THIS_MODULE,
};

static int vs_disk_create_tags(struct vs_device *device)
{
	struct blk_mq_tag_set *set = &device->tag_set;

	set->ops = &vs_queue_ops;
	set->nr_hw_queues = device->queue_count;
	set->queue_depth = device->slots;
	set->numa_node = NUMA_NO_NODE;
	/*
	 * A single-queue device gets mq-deadline otherwise, which cost a third to a half of the
	 * IOPS.
	 *
	 * Stacking: what a CPU has sent is not waited for when it goes off line. That is for
	 * interrupts that go with a CPU; here it could wait as long as a request is held, with the
	 * lock that all wait for who make cgroups or start services, our helper's among them.
	 */
	set->flags = VS_BLK_MQ_F_SHOULD_MERGE | BLK_MQ_F_NO_SCHED_BY_DEFAULT | BLK_MQ_F_STACKING;
	set->driver_data = device;
	if (vs_fault(VS_FAULT_tags))
		return -ENOMEM;
	return blk_mq_alloc_tag_set(set);
}

/* Makes the disk, with capacity 0, and announces it. */
int vs_disk_create(struct vs_device *device)
{
	const struct vs_limits limits = {
		.block_size = VRAMSWAP_BLOCK_SIZE,
		.max_request = device->slot_size,
		.max_zeroes = VRAMSWAP_MAX_ZEROES_BYTES,
	};
	struct gendisk *disk;
	int ret;

	ret = vs_disk_create_tags(device);
	if (ret)
		return ret;
	disk = vs_fault(VS_FAULT_disk) ? ERR_PTR(-ENOMEM) :
					 vs_compat_alloc_disk(&device->tag_set, &limits, device);
	if (IS_ERR(disk)) {
		ret = PTR_ERR(disk);
		goto free_tags;
	}
	/* Partitions would be looked for by reading through our own helper. */
	disk->flags |= GENHD_FL_NO_PART;
	disk->fops = &vs_disk_ops;
	disk->private_data = device;
	snprintf(disk->disk_name, sizeof(disk->disk_name), VS_NAME "%u", device->index);
	device->disk = disk;
	vs_disk_set_timeout(device);
	ret = vs_fault(VS_FAULT_add_disk) ? -ENOMEM : add_disk(disk);
	if (ret)
		goto put_disk;
	return 0;

put_disk:
	put_disk(disk);
free_tags:
	blk_mq_free_tag_set(&device->tag_set);
	return ret;
}

void vs_disk_destroy(struct vs_device *device)
{
	del_gendisk(device->disk);
	put_disk(device->disk);
	blk_mq_free_tag_set(&device->tag_set);
}

/*
 * Makes the block layer look at old requests four times within the I/O timeout, so that silence is
 * noticed in time.
 */
void vs_disk_set_timeout(struct vs_device *device)
{
	blk_queue_rq_timeout(device->disk->queue, msecs_to_jiffies(device->io_timeout_ms / 4));
}

/* Sets the capacity, in bytes, and tells udev. */
void vs_disk_set_capacity(struct vs_device *device, u64 bytes)
{
	unsigned int noio = memalloc_noio_save();

	set_capacity(device->disk, bytes >> SECTOR_SHIFT);
	kobject_uevent(&disk_to_dev(device->disk)->kobj, KOBJ_CHANGE);
	memalloc_noio_restore(noio);
}

/*
 * Takes the capacity away if nobody has the disk open, else -EBUSY. Whoever opens it afterwards
 * finds an empty device. A mutex that is taken means that somebody opens or closes it, perhaps
 * waiting for I/O that the caller must serve.
 */
int vs_disk_close(struct vs_device *device)
{
	struct gendisk *disk = device->disk;
	bool open;

	if (!mutex_trylock(&disk->open_mutex))
		return -EBUSY;
	open = disk_openers(disk) > 0;
	if (!open)
		set_capacity(disk, 0);
	mutex_unlock(&disk->open_mutex);
	return open ? -EBUSY : 0;
}
