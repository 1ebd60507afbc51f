/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * All that differs between the kernels that we build for, 6.1 and newer.
 *
 * VS_HAVE_* come from Kbuild, which looks into the headers that it builds against: distributions
 * and stable series backport, so a version number proves little.
 */
#ifndef VRAMSWAP_COMPAT_H
#define VRAMSWAP_COMPAT_H

#include <linux/blk-mq.h>
#include <linux/blkdev.h>
#include <linux/mm.h>
#include <linux/sched.h>

/* Gone in 6.14, where merging is what every queue does. */
#ifdef VS_HAVE_SHOULD_MERGE
#define VS_BLK_MQ_F_SHOULD_MERGE BLK_MQ_F_SHOULD_MERGE
#else
#define VS_BLK_MQ_F_SHOULD_MERGE 0
#endif

/* Shall this task give up its processor? 6.13 and newer say it in one of two ways. */
static inline bool vs_compat_need_resched(void)
{
#ifdef TIF_NEED_RESCHED_LAZY
	if (test_thread_flag(TIF_NEED_RESCHED_LAZY))
		return true;
#endif
	return need_resched();
}

/*
 * The CPU where this task might be woken if its last one is busy, instead of a search: the
 * scheduler looks whether it is allowed, close and idle. The field is the scheduler's own, but it
 * uses it only when it wakes a task that sleeps, and never writes it for one that runs.
 */
#if defined(VS_HAVE_RECENT_USED_CPU) && defined(CONFIG_SMP)

static inline unsigned int vs_compat_recent_cpu(void)
{
	return current->recent_used_cpu;
}

static inline void vs_compat_name_cpu(unsigned int cpu)
{
	if (cpu < nr_cpu_ids)
		current->recent_used_cpu = cpu;
}

#else

static inline unsigned int vs_compat_recent_cpu(void)
{
	return UINT_MAX;
}

static inline void vs_compat_name_cpu(unsigned int cpu)
{
}

#endif

/* 6.3 made vm_flags constant. */
static inline void vs_compat_vm_flags_mod(struct vm_area_struct *vma, unsigned long set,
					  unsigned long clear)
{
#ifdef VS_HAVE_VM_FLAGS_SET
	vm_flags_mod(vma, set, clear);
#else
	vma->vm_flags = (vma->vm_flags | set) & ~clear;
#endif
}

/* The limits of our disks, in the one form that all kernels can be given. Bytes. */
struct vs_limits {
	unsigned int block_size;
	unsigned int max_request;
	unsigned int max_zeroes;
};

#ifdef VS_HAVE_QUEUE_LIMITS_ARG

static inline struct gendisk *vs_compat_alloc_disk(struct blk_mq_tag_set *set,
						   const struct vs_limits *limits, void *queuedata)
{
	struct queue_limits lim = {
		.logical_block_size = limits->block_size,
		.physical_block_size = limits->block_size,
		.io_min = limits->block_size,
		.max_hw_sectors = limits->max_request >> SECTOR_SHIFT,
		.max_segments = USHRT_MAX,
		.max_segment_size = UINT_MAX,
		.max_hw_discard_sectors = UINT_MAX >> SECTOR_SHIFT,
		.discard_granularity = limits->block_size,
		.max_write_zeroes_sectors = limits->max_zeroes >> SECTOR_SHIFT,
	};
	struct gendisk *disk = blk_mq_alloc_disk(set, &lim, queuedata);

#ifndef VS_HAVE_BLK_FEAT
	if (!IS_ERR(disk))
		blk_queue_flag_set(QUEUE_FLAG_NONROT, disk->queue);
#endif
	return disk;
}

#else

static inline struct gendisk *vs_compat_alloc_disk(struct blk_mq_tag_set *set,
						   const struct vs_limits *limits, void *queuedata)
{
	struct gendisk *disk = blk_mq_alloc_disk(set, queuedata);
	struct request_queue *q;

	if (IS_ERR(disk))
		return disk;
	q = disk->queue;
	blk_queue_logical_block_size(q, limits->block_size);
	blk_queue_physical_block_size(q, limits->block_size);
	blk_queue_io_min(q, limits->block_size);
	blk_queue_max_hw_sectors(q, limits->max_request >> SECTOR_SHIFT);
	blk_queue_max_segments(q, USHRT_MAX);
	blk_queue_max_segment_size(q, UINT_MAX);
	blk_queue_max_discard_sectors(q, UINT_MAX >> SECTOR_SHIFT);
	q->limits.discard_granularity = limits->block_size;
	blk_queue_max_write_zeroes_sectors(q, limits->max_zeroes >> SECTOR_SHIFT);
	blk_queue_flag_set(QUEUE_FLAG_NONROT, q);
	return disk;
}

#endif

#endif
