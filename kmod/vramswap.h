/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The module's own types: device, queue, slot, session, and who may touch what when.
 *
 * Locks, outermost first:
 *   vs_devices_lock   which devices exist; held while one is made, deleted or looked at by netlink
 *   device->lock      the device's state and session, see below; never held while waiting for I/O
 *   queue->reap_lock  taking CQEs; binding a queue to a session
 *   queue->submit_lock  publishing SQEs
 */
#ifndef VRAMSWAP_H
#define VRAMSWAP_H

#include <linux/blk-mq.h>
#include <linux/blkdev.h>
#include <linux/cdev.h>
#include <linux/device.h>
#include <linux/mutex.h>
#include <linux/pid.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "../uapi/vramswap.h"
#include "../uapi/vramswap_genl.h"
#include "fault.h"
#include "ring.h"

#define VS_NAME "vramswap"
#define VS_MAX_DEVICES 16U

#define VS_DEFAULT_QUEUES 4U
#define VS_DEFAULT_SLOTS 64U
#define VS_DEFAULT_SLOT_SIZE (128U * 1024U)
#define VS_DEFAULT_HOLD_TIMEOUT_MS (120U * 1000U)
#define VS_DEFAULT_IO_TIMEOUT_MS (30U * 1000U)
#define VS_MIN_IO_TIMEOUT_MS 1000U
#define VS_MAX_TIMEOUT_MS (24U * 60U * 60U * 1000U)

/*
 * For memory that is asked for while requests may be held: fails rather than wait for I/O, which
 * may be what is held, and rather than try for ever, as GFP_NOIO alone does.
 */
#define VS_GFP (GFP_NOIO | __GFP_NOWARN | __GFP_RETRY_MAYFAIL)

struct vs_device;

/* A part of the shared memory. */
struct vs_area {
	struct page **pages; /* zeroed when made; mappings and pins may outlive the area */
	void *memory;        /* all of them in a row, for the kernel */
	u64 size;            /* bytes, whole pages */
	u64 offset;          /* what mmap is asked for */
	bool read_only;
};

enum vs_area_id { VS_AREA_SQ, VS_AREA_CQ, VS_AREA_STAGING, VS_AREA_MAP, VS_AREAS };

/* Those before the map are a session's own; the map is the device's. */
#define VS_OWN_AREAS VS_AREA_MAP

/*
 * What joins one queue to one session: rings, staging, and where the helper sleeps. It is the
 * session's, not the queue's, so that a thread of a session that has ended can never disturb the
 * session after it.
 */
struct vs_channel {
	const struct vs_session *session;
	struct vs_ring ring;
	char *staging;
	wait_queue_head_t wait;
	unsigned long waiting;  /* bit 0: a thread is in vs_enter_wait */
	unsigned long spinning; /* bit 0: a submitter is in vs_spin */
	bool broken;            /* the helper broke the ring; set under the reap lock */
};

/*
 * One open file of /dev/vramswapcN. Owned by the file and freed with it; the device only borrows
 * it, from open until the session's end.
 */
struct vs_session {
	struct vs_device *device;
	struct pid *pid;
	unsigned long opened; /* jiffies */

	/* Set before attached, then constant; the map is the device's. */
	struct vs_area areas[VS_AREAS];
	u64 sq_stride;
	u64 cq_stride;
	struct vs_channel *channels; /* one for each queue of the device */

	bool attached; /* device->lock */
	bool started;  /* set under device->lock; release/acquire: channels may be used */
	int end;       /* why it ended, a negative errno, or 0; written once, device->lock */
};

struct vs_op_stats {
	u64 requests;
	u64 bytes;
	u64 errors;
	u64 latency_ns;
	u64 histogram[VRAMSWAP_LATENCY_BUCKETS];
};

/*
 * A tag of the queue and the part of staging that goes with it.
 *
 * rq is set from queue_rq until whoever claims or revokes the slot takes it: ENTER, a submitter
 * that waits awake, or the device's state machine while the queue is quiesced and unbound. A slot
 * with a request whose owner word says KERNEL is held: it waits for a helper.
 */
struct vs_slot {
	u32 owner; /* ring.h */
	struct request *rq;
	u64 start_ns; /* queue_rq */
	u64 sent_ns;  /* just before it was last published; the helper's silence counts from here */

	/* Under device->lock: when the request that began at held_start_ns was first held. */
	u64 held_since_ns;
	u64 held_start_ns;
} ____cacheline_aligned_in_smp; /* neighbours are sent and ended on different CPUs */

/* What one task did with a queue, for spin.c. */
struct vs_spin_history {
	pid_t pid;
	unsigned int waits;   /* requests in a row that it waited for before it sent the next */
	unsigned long sleeps; /* of that task until it sent the last one */
	bool spun;            /* it waited for that one in vs_spin, which sets it unlocked */
};

/* Tasks whose history a queue remembers; two that share a place forget each other's. */
#define VS_SPIN_TASKS_SHIFT 4

/* How waiting awake went lately: requests not to wait for, and how many the next time. */
struct vs_spin_luck {
	unsigned int skip;
	unsigned int penalty;
};

struct vs_queue {
	struct vs_device *device;
	unsigned int index;
	struct vs_slot *slots;

	/* NULL: no session. Changed quiesced and under reap_lock, read under either. */
	struct vs_channel *channel;

	/* The ring's SQ side, doorbells, discard statistics, who submits how. */
	spinlock_t submit_lock ____cacheline_aligned_in_smp;
	u64 doorbells;
	struct vs_spin_history tasks[1 << VS_SPIN_TASKS_SHIFT];

	/* spin.c's, under channel->spinning: where the helper was awake, where it was woken. */
	struct vs_spin_luck luck[2];
	u64 spins; /* requests that their submitters waited for with success */

	/* The ring's CQ side, enters, all other statistics. */
	spinlock_t reap_lock ____cacheline_aligned_in_smp;
	u64 enters;
	u64 waits;
	u64 replayed;
	struct vs_op_stats stats[VRAMSWAP_STAT_OPS];
};

/*
 * What queue_rq does with a request. Follows from the state; a word of its own so that the hot path
 * reads just that.
 */
enum vs_gate { VS_GATE_FAIL, VS_GATE_SEND, VS_GATE_HOLD };

struct vs_device {
	struct device node; /* its references: the registry's, each open file's, the cdev's */
	unsigned int index;
	unsigned int queue_count;
	unsigned int slots;     /* of each queue: the tag set's depth */
	unsigned int slot_size; /* bytes */
	struct vs_queue *queues;
	struct gendisk *disk;
	struct blk_mq_tag_set tag_set;
	struct cdev cdev;

	/* Changed under lock; queues are quiesced after any change that takes SEND away. */
	enum vs_gate gate;

	/*
	 * What blocks hold data; set and cleared by queue_rq. Allocated at ATTACH, freed when
	 * contents are given up.
	 */
	struct vs_area map;

	struct mutex lock; /* all below */
	enum vramswap_state state;
	bool deleting;
	struct vs_session *session;
	u64 capacity; /* bytes; of the contents, also while held */
	u64 cookie;
	char label[VRAMSWAP_LABEL_SIZE];
	int reason; /* why the last session ended */
	struct vs_session *lingering; /* lost the device, but its file is still open; or NULL */
	u32 hold_timeout_ms;
	u32 io_timeout_ms; /* also read by vs_device_timeout, without the lock */
	unsigned long hold_half;  /* jiffies; while HELD: who keeps others out is killed */
	unsigned long hold_until; /* jiffies; while HELD */
	u64 hold_changed_ns; /* when hold_timeout_ms was set: no hold time began before that */
	struct delayed_work hold_work;
	struct work_struct doubt_work;

	/* While HELD: the last session's memory for the next one. No area has memory: none. */
	struct vs_area spare[VS_OWN_AREAS];

	struct list_head reserve;    /* pages that reserve.c keeps back */
	unsigned long reserve_pages; /* how many */
	struct delayed_work reserve_work;
};

/* How a device is made. */
struct vs_shape {
	unsigned int queues;
	unsigned int slots;     /* of each queue */
	unsigned int slot_size; /* bytes */
	unsigned int hold_timeout_ms;
	unsigned int io_timeout_ms;
};

/* main.c */
extern struct workqueue_struct *vs_workqueue;
const struct vs_shape *vs_default_shape(void);

/* registry.c */
extern struct mutex vs_devices_lock;
const char *vs_registry_check(const struct vs_shape *shape);
int vs_registry_add(int index, const struct vs_shape *shape, const char **why);
int vs_registry_del(unsigned int index);
void vs_registry_clear(void);
struct vs_device *vs_registry_find(unsigned int index);
int vs_registry_watch_sleep(void);
void vs_registry_unwatch_sleep(void);

/* device.c */
struct vs_device *vs_device_create(unsigned int index, const struct vs_shape *shape);
int vs_device_delete(struct vs_device *device);
void vs_device_destroy(struct vs_device *device);
int vs_device_open(struct vs_device *device, struct vs_session *session);
int vs_device_attach(struct vs_device *device, struct vs_session *session,
		     struct vramswap_attach *args);
int vs_device_start(struct vs_device *device, struct vs_session *session, bool prepared);
int vs_device_stop(struct vs_device *device, struct vs_session *session);
void vs_device_put(struct vs_device *device);
void vs_device_break(struct vs_device *device, struct vs_session *session);
void vs_device_close(struct vs_device *device, struct vs_session *session);
void vs_device_set_timeouts(struct vs_device *device, const u32 *hold_ms, const u32 *io_ms);
bool vs_device_must_not_sleep(struct vs_device *device);
/* For hold.c: parts of a change of state. device->lock held. */
void vs_device_set_state(struct vs_device *device, enum vramswap_state state,
			 enum vramswap_event event);
u64 vs_device_part(struct vs_device *device, enum vs_gate gate);
void vs_device_drop_session(struct vs_device *device, int reason);
void vs_device_forget_contents(struct vs_device *device);
void vs_device_fail(struct vs_device *device);

/* hold.c */
void vs_hold_init(struct vs_device *device);
void vs_hold_arm(struct vs_device *device, u64 held_ns);
void vs_hold_lose_helper(struct vs_device *device, int reason);
void vs_hold_lose_broken(struct vs_device *device);

/* reserve.c */
void vs_reserve_init(struct vs_device *device);
void vs_reserve_update(struct vs_device *device);
void vs_reserve_release(struct vs_device *device);
void vs_reserve_destroy(struct vs_device *device);

/* disk.c */
int vs_disk_create(struct vs_device *device);
void vs_disk_destroy(struct vs_device *device);
int vs_disk_close(struct vs_device *device);
void vs_disk_set_timeout(struct vs_device *device);
void vs_disk_set_capacity(struct vs_device *device, u64 bytes);

/* queue.c */
extern const struct blk_mq_ops vs_queue_ops;
int vs_queues_create(struct vs_device *device);
void vs_queues_destroy(struct vs_device *device);
void vs_queues_bind(struct vs_device *device, struct vs_session *session);
u64 vs_queues_unbind(struct vs_device *device);
void vs_queues_replay(struct vs_device *device);
void vs_queues_fail(struct vs_device *device);
bool vs_queues_silent(struct vs_device *device);
bool vs_queues_broken(struct vs_device *device);
unsigned int vs_queue_inflight(struct vs_queue *queue);
struct request *vs_slot_take(struct vs_queue *queue, unsigned int index, blk_status_t status);

/* reap.c */
/* A request claimed from a slot, to be ended once the lock is dropped. */
struct vs_done {
	struct request *rq;
	unsigned int slot;
	blk_status_t status;
};

int vs_reap_claim(struct vs_queue *queue, struct vs_channel *channel, struct vs_done *done,
		  int limit, int *count);
void vs_reap_end(struct vs_queue *queue, struct vs_channel *channel, struct vs_done *done,
		 int count);

/* spin.c */
bool vs_spin_undisturbed(void);
bool vs_spin_may(const struct request *rq);
bool vs_spin_note(struct vs_queue *queue);
void vs_spin(struct vs_queue *queue, unsigned int index, u32 generation, bool woken);

/* enter.c */
int vs_enter(struct vs_session *session, const struct vramswap_enter *args);

/* shm.c */
int vs_shm_create(struct vs_session *session);
void vs_shm_destroy(struct vs_session *session);
void vs_shm_retire(struct vs_session *session);
void vs_shm_forget_spare(struct vs_device *device);
void vs_shm_describe(const struct vs_session *session, struct vramswap_attach *args);
int vs_shm_mmap(struct vs_session *session, struct vm_area_struct *vma);
int vs_area_create(struct vs_area *area, enum vs_area_id id, u64 size);
void vs_area_destroy(struct vs_area *area);
unsigned int vs_shm_ring_entries(const struct vs_device *device);

/* map.c */
void vs_map_set(struct vs_area *map, u64 offset, u64 length);
void vs_map_clear(struct vs_area *map, u64 offset, u64 length);
u64 vs_map_used(const struct vs_area *map);

/* chardev.c */
int vs_chardev_init(void);
void vs_chardev_exit(void);
int vs_chardev_register(struct vs_device *device);
void vs_chardev_unregister(struct vs_device *device);

/* stats.c */
void vs_stats_add(u64 *counter, u64 n);
void vs_stats_count(struct vs_op_stats *stats, blk_status_t status, unsigned int bytes,
		    u64 latency_ns);

/* genl.c */
int vs_genl_register(void);
void vs_genl_unregister(void);
void vs_genl_event(struct vs_device *device, enum vramswap_event event);

#endif
