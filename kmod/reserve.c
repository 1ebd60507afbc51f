// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory for a helper's successor. It needs some pages of its own before it can serve: a fork's,
 * its stacks', page tables. While there is no helper nothing can be swapped out, so on a machine
 * that is short of memory there may be no free page for it, now or ever.
 *
 * So a live device keeps some pages back, and lets go of them bit by bit while it is held. What is
 * free at first others take, until they wait for the device; then it is the successor who gets it.
 */
#include <linux/gfp.h>
#include <linux/mm.h>

#include "vramswap.h"

/*
 * All of it: several times what vramswapd needs, which is 2 MiB or so. Of a machine's memory this
 * part at most.
 */
#define VS_RESERVE_PAGES ((8UL << 20) >> PAGE_SHIFT)
#define VS_RESERVE_SHARE 64

/* So much at a time, and so often: gone after eight seconds. */
#define VS_RESERVE_PORTION (VS_RESERVE_PAGES / 32)
#define VS_RESERVE_DELAY (HZ / 4)

static void vs_reserve_shrink(struct vs_device *device, unsigned long pages)
{
	for (; pages && device->reserve_pages; pages--) {
		struct page *page = list_first_entry(&device->reserve, struct page, lru);

		list_del(&page->lru);
		__free_page(page);
		device->reserve_pages--;
	}
}

/* Takes what is there to be had, and waits for nothing. */
static void vs_reserve_grow(struct vs_device *device, unsigned long most)
{
	unsigned long i;

	for (i = 0; i < VS_RESERVE_PORTION && device->reserve_pages < most; i++) {
		struct page *page = vs_fault(VS_FAULT_reserve) ?
					    NULL :
					    alloc_page(GFP_NOWAIT | __GFP_NOWARN);

		if (!page)
			return;
		list_add(&page->lru, &device->reserve);
		device->reserve_pages++;
	}
}

static void vs_reserve_work(struct work_struct *work)
{
	struct vs_device *device =
		container_of(to_delayed_work(work), struct vs_device, reserve_work);
	unsigned long most = min(VS_RESERVE_PAGES, totalram_pages() / VS_RESERVE_SHARE);
	bool again = false;

	mutex_lock(&device->lock);
	switch (device->state) {
	case VRAMSWAP_STATE_LIVE:
		vs_reserve_grow(device, most);
		again = device->reserve_pages < most;
		break;
	case VRAMSWAP_STATE_HELD:
		vs_reserve_shrink(device, VS_RESERVE_PORTION);
		again = device->reserve_pages;
		break;
	default:
		vs_reserve_shrink(device, device->reserve_pages);
		break;
	}
	if (again)
		queue_delayed_work(vs_workqueue, &device->reserve_work, VS_RESERVE_DELAY);
	mutex_unlock(&device->lock);
}

/* The device's state has changed. device->lock held. */
void vs_reserve_update(struct vs_device *device)
{
	mod_delayed_work(vs_workqueue, &device->reserve_work, 0);
}

void vs_reserve_init(struct vs_device *device)
{
	INIT_LIST_HEAD(&device->reserve);
	INIT_DELAYED_WORK(&device->reserve_work, vs_reserve_work);
}

/* All of it, for who asks for more than bits. device->lock held. */
void vs_reserve_release(struct vs_device *device)
{
	lockdep_assert_held(&device->lock);
	vs_reserve_shrink(device, device->reserve_pages);
}

/* Nobody changes the state any more. */
void vs_reserve_destroy(struct vs_device *device)
{
	cancel_delayed_work_sync(&device->reserve_work);
	vs_reserve_shrink(device, device->reserve_pages);
}
