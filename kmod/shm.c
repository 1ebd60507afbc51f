// SPDX-License-Identifier: GPL-2.0-only
/*
 * The memory that a session shares with its helper: made, mapped, let go.
 *
 * Its pages are used by one session only, for a GPU's DMA or a pin can outlive the helper that set
 * it up, and must not reach anybody else's. Freed pages live on until the last mapping and pin of
 * them is gone. Only where there is none left does the next session of the same contents get the
 * same memory, zeroed: while nothing can be swapped out there may be no other.
 */
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/pfn.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "vramswap.h"
#include "compat.h"

/* mmap offset of an area: far enough apart for any size. */
static u64 vs_area_offset(enum vs_area_id id)
{
	return (u64)id << 40;
}

/*
 * The lists and page tables of an area, little memory: from the reserves, or not had, but not
 * waited for, however the kernel's own allocations in there ask.
 */
static struct page **vs_area_list(size_t count)
{
	unsigned int noreclaim = memalloc_noreclaim_save();
	struct page **pages = kvcalloc(count, sizeof(*pages), VS_GFP | __GFP_ZERO);

	memalloc_noreclaim_restore(noreclaim);
	return pages;
}

static void *vs_area_vmap(struct vs_area *area, size_t count)
{
	unsigned int noreclaim = memalloc_noreclaim_save();
	void *memory = vmap(area->pages, count, VM_MAP, PAGE_KERNEL);

	memalloc_noreclaim_restore(noreclaim);
	return memory;
}

/* Makes an area of at least size bytes. -ENOMEM, with nothing left behind. */
int vs_area_create(struct vs_area *area, enum vs_area_id id, u64 size)
{
	size_t i, count = PFN_UP(size);

	area->offset = vs_area_offset(id);
	area->size = (u64)count << PAGE_SHIFT;
	area->read_only = id == VS_AREA_SQ || id == VS_AREA_MAP;
	if (!vs_fault(VS_FAULT_area_list))
		area->pages = vs_area_list(count);
	for (i = 0; area->pages && i < count; i++) {
		if (!vs_fault(VS_FAULT_area_page))
			area->pages[i] = alloc_page(VS_GFP | __GFP_ZERO);
		if (!area->pages[i])
			break;
	}
	if (area->pages && i == count && !vs_fault(VS_FAULT_area_vmap))
		area->memory = vs_area_vmap(area, count);
	if (area->memory)
		return 0;
	vs_area_destroy(area);
	return -ENOMEM;
}

/* Pages that are mapped or pinned elsewhere live on until that ends. */
void vs_area_destroy(struct vs_area *area)
{
	size_t i, count = area->size >> PAGE_SHIFT;

	vunmap(area->memory);
	for (i = 0; area->pages && i < count && area->pages[i]; i++)
		put_page(area->pages[i]);
	kvfree(area->pages);
	area->memory = NULL;
	area->pages = NULL;
}

/* A power of two, at least the number of slots, so that neither ring can overflow (uapi). */
unsigned int vs_shm_ring_entries(const struct vs_device *device)
{
	return roundup_pow_of_two(device->slots);
}

static int vs_shm_create_channels(struct vs_session *session)
{
	const struct vs_device *device = session->device;
	size_t staging_stride = (size_t)device->slots * device->slot_size;
	char *sq = session->areas[VS_AREA_SQ].memory;
	char *cq = session->areas[VS_AREA_CQ].memory;
	char *staging = session->areas[VS_AREA_STAGING].memory;
	unsigned int noreclaim = memalloc_noreclaim_save(); /* as in vs_area_list */
	unsigned int i;

	if (!vs_fault(VS_FAULT_channels))
		session->channels =
			kvcalloc(device->queue_count, sizeof(*session->channels), VS_GFP);
	memalloc_noreclaim_restore(noreclaim);
	if (!session->channels)
		return -ENOMEM;
	for (i = 0; i < device->queue_count; i++) {
		struct vs_channel *channel = &session->channels[i];

		vs_ring_init(&channel->ring, sq + i * session->sq_stride,
			     cq + i * session->cq_stride, vs_shm_ring_entries(device));
		channel->session = session;
		channel->staging = staging + i * staging_stride;
		init_waitqueue_head(&channel->wait);
	}
	return 0;
}

/* Has nobody a mapping or a pin of it any more? */
static bool vs_area_unshared(const struct vs_area *area)
{
	size_t i, count = area->size >> PAGE_SHIFT;

	if (vs_fault(VS_FAULT_pinned))
		return false;
	for (i = 0; i < count; i++)
		if (page_count(area->pages[i]) != 1)
			return false;
	return true;
}

static void vs_area_clear(struct vs_area *area)
{
	size_t i, count = area->size >> PAGE_SHIFT;

	for (i = 0; i < count; i++) {
		clear_highpage(area->pages[i]);
		cond_resched();
	}
}

/*
 * The file of a session that has ended is closed: leaves its memory to the next one, if there is to
 * be one. device->lock held.
 */
void vs_shm_retire(struct vs_session *session)
{
	struct vs_device *device = session->device;
	int i;

	lockdep_assert_held(&device->lock);
	if (device->state != VRAMSWAP_STATE_HELD || device->spare[VS_AREA_SQ].memory)
		return;
	for (i = 0; i < VS_OWN_AREAS; i++)
		if (!session->areas[i].memory)
			return;
	for (i = 0; i < VS_OWN_AREAS; i++) {
		device->spare[i] = session->areas[i];
		session->areas[i] = (struct vs_area){};
	}
}

/* device->lock held, or the device is nobody else's. */
void vs_shm_forget_spare(struct vs_device *device)
{
	int i;

	for (i = 0; i < VS_OWN_AREAS; i++)
		vs_area_destroy(&device->spare[i]);
}

/* Looked at only now: a GPU's driver may let go of its pins after our file is closed. */
static bool vs_shm_take_spare(struct vs_session *session)
{
	struct vs_device *device = session->device;
	int i;

	if (!device->spare[VS_AREA_SQ].memory)
		return false;
	for (i = 0; i < VS_OWN_AREAS; i++)
		if (!vs_area_unshared(&device->spare[i])) {
			vs_shm_forget_spare(device);
			return false;
		}
	for (i = 0; i < VS_OWN_AREAS; i++) {
		struct vs_area *area = &session->areas[i];

		*area = device->spare[i];
		device->spare[i] = (struct vs_area){};
		vs_area_clear(area);
	}
	return true;
}

static int vs_shm_create_areas(struct vs_session *session)
{
	const struct vs_device *device = session->device;
	unsigned int queues = device->queue_count;
	u64 staging = (u64)queues * device->slots * device->slot_size;
	int ret;

	ret = vs_area_create(&session->areas[VS_AREA_SQ], VS_AREA_SQ, queues * session->sq_stride);
	if (!ret)
		ret = vs_area_create(&session->areas[VS_AREA_CQ], VS_AREA_CQ,
				     queues * session->cq_stride);
	if (!ret)
		ret = vs_area_create(&session->areas[VS_AREA_STAGING], VS_AREA_STAGING, staging);
	return ret;
}

/*
 * Makes all of a session's memory but the map. device->lock held. -ENOMEM, with nothing left
 * behind.
 */
int vs_shm_create(struct vs_session *session)
{
	unsigned int entries = vs_shm_ring_entries(session->device);
	int ret = 0;

	/* A page for each, so that queues share no cache line and no page. */
	session->sq_stride = PAGE_ALIGN(sizeof(struct vramswap_sq) +
					entries * sizeof(struct vramswap_sqe));
	session->cq_stride = PAGE_ALIGN(sizeof(struct vramswap_cq) +
					entries * sizeof(struct vramswap_cqe));

	if (!vs_shm_take_spare(session)) {
		vs_reserve_release(session->device);
		ret = vs_shm_create_areas(session);
	}
	if (!ret)
		ret = vs_shm_create_channels(session);
	if (ret) {
		vs_shm_retire(session);
		vs_shm_destroy(session);
	}
	return ret;
}

void vs_shm_destroy(struct vs_session *session)
{
	kvfree(session->channels);
	session->channels = NULL;
	vs_area_destroy(&session->areas[VS_AREA_STAGING]);
	vs_area_destroy(&session->areas[VS_AREA_CQ]);
	vs_area_destroy(&session->areas[VS_AREA_SQ]);
}

/* ATTACH's answer. device->lock held, and the map is the session's by now. */
void vs_shm_describe(const struct vs_session *session, struct vramswap_attach *args)
{
	const struct vs_device *device = session->device;
	struct vramswap_region *regions[VS_AREAS] = {
		&args->sq, &args->cq, &args->staging, &args->map,
	};
	int i;

	for (i = 0; i < VS_AREAS; i++) {
		regions[i]->offset = session->areas[i].offset;
		regions[i]->size = session->areas[i].size;
	}
	args->cookie = device->cookie;
	args->device = device->index;
	args->queues = device->queue_count;
	args->slots = device->slots;
	args->slot_size = device->slot_size;
	args->ring_entries = vs_shm_ring_entries(device);
	args->sq_stride = session->sq_stride;
	args->cq_stride = session->cq_stride;
}

static struct vs_area *vs_shm_find(struct vs_session *session, u64 offset, u64 size)
{
	int i;

	for (i = 0; i < VS_AREAS; i++)
		if (session->areas[i].offset == offset && session->areas[i].size == size)
			return &session->areas[i];
	return NULL;
}

/*
 * Maps one area, whole. device->lock held: the areas are there and the session has not ended.
 * Errors: uapi.
 */
int vs_shm_mmap(struct vs_session *session, struct vm_area_struct *vma)
{
	u64 offset = (u64)vma->vm_pgoff << PAGE_SHIFT;
	struct vs_area *area = vs_shm_find(session, offset, vma->vm_end - vma->vm_start);

	lockdep_assert_held(&session->device->lock);
	if (!area || !(vma->vm_flags & VM_SHARED))
		return -EINVAL;
	if ((vma->vm_flags & VM_EXEC) || (area->read_only && (vma->vm_flags & VM_WRITE)))
		return -EACCES;

	/*
	 * No inheritance: a forked child must not keep the session's memory mapped behind the
	 * helper's back.
	 */
	vs_compat_vm_flags_mod(vma, VM_DONTCOPY | VM_DONTDUMP | VM_DONTEXPAND,
			       VM_MAYEXEC | (area->read_only ? VM_MAYWRITE : 0));
	return vs_fault(VS_FAULT_mmap) ?
		       -ENOMEM :
		       vm_map_pages_zero(vma, area->pages, area->size >> PAGE_SHIFT);
}
