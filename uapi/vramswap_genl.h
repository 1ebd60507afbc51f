/* SPDX-License-Identifier: (GPL-2.0-only WITH Linux-syscall-note) OR MIT */
/*
 * Generic netlink family "vramswap": how devices are made, watched and changed.
 *
 * Anyone may send GET and STATS; ADD, DEL and SET need CAP_SYS_ADMIN. Errors come with a sentence
 * (extended ack). Numbers are in host byte order; sizes in bytes, times in the unit their name ends
 * with.
 */
#ifndef VRAMSWAP_GENL_H
#define VRAMSWAP_GENL_H

#define VRAMSWAP_GENL_NAME "vramswap"
#define VRAMSWAP_GENL_VERSION 1
#define VRAMSWAP_GENL_MCGRP_EVENTS "events"

/* What each command takes, and what it answers with. */
enum vramswap_cmd {
	VRAMSWAP_CMD_UNSPEC,
	VRAMSWAP_CMD_ADD,   /* INDEX, QUEUES, SLOTS, SLOT_SIZE, all optional; answers as GET does */
	VRAMSWAP_CMD_DEL,   /* INDEX; EBUSY: helper attached, contents held, or disk open */
	VRAMSWAP_CMD_GET,   /* INDEX, or a dump of all: INDEX to OPENERS below, and REASON */
	VRAMSWAP_CMD_SET,   /* INDEX and at least one of HOLD_TIMEOUT_MS, IO_TIMEOUT_MS */
	VRAMSWAP_CMD_STATS, /* INDEX, QUEUE: one QUEUE_STATS; ENOENT past the last queue */
	VRAMSWAP_CMD_EVENT, /* multicast only: EVENT, REASON, and all that GET answers with */
	__VRAMSWAP_CMD_MAX,
};

#define VRAMSWAP_CMD_MAX (__VRAMSWAP_CMD_MAX - 1)

enum vramswap_state {
	VRAMSWAP_STATE_EMPTY = 0,    /* no helper, no contents, capacity 0 */
	VRAMSWAP_STATE_ATTACHED = 1, /* a helper prepares new contents; capacity 0 */
	VRAMSWAP_STATE_LIVE = 2,     /* requests are served */
	VRAMSWAP_STATE_HELD = 3,     /* the helper is gone, its contents are not: requests wait */
	VRAMSWAP_STATE_FAILED = 4,   /* the contents are lost: requests fail; capacity 0 */
};

enum vramswap_event {
	VRAMSWAP_EVENT_ATTACHED = 1,
	VRAMSWAP_EVENT_LIVE = 2,
	VRAMSWAP_EVENT_HELD = 3,
	VRAMSWAP_EVENT_FAILED = 4,
	VRAMSWAP_EVENT_STOPPED = 5,
	VRAMSWAP_EVENT_RESIZED = 6, /* not sent as yet: a device keeps its size */
	VRAMSWAP_EVENT_ADDED = 7,
	VRAMSWAP_EVENT_DELETED = 8,
};

enum vramswap_attr {
	VRAMSWAP_A_UNSPEC,
	VRAMSWAP_A_PAD,
	VRAMSWAP_A_INDEX,           /* u32: N of vramswapN */
	VRAMSWAP_A_NAME,            /* string: "vramswapN" */
	VRAMSWAP_A_STATE,           /* u32: enum vramswap_state */
	VRAMSWAP_A_CAPACITY,        /* u64, bytes */
	VRAMSWAP_A_USED,            /* u64, bytes: blocks written and not discarded since */
	VRAMSWAP_A_QUEUES,          /* u32 */
	VRAMSWAP_A_SLOTS,           /* u32: staging slots of each queue */
	VRAMSWAP_A_SLOT_SIZE,       /* u32, bytes, a power of two */
	VRAMSWAP_A_HOLD_TIMEOUT_MS, /* u32: how long requests wait for a helper; 0: not at all */
	VRAMSWAP_A_IO_TIMEOUT_MS,   /* u32: how long a live helper may leave a request unanswered */
	VRAMSWAP_A_COOKIE,          /* u64: name of the contents, 0 if none */
	VRAMSWAP_A_LABEL,           /* string: what stores the bytes, in the helper's words */
	VRAMSWAP_A_HELPER_PID,      /* u32: in the initial pid namespace, 0 if none */
	VRAMSWAP_A_OPENERS,         /* u32: how often the block device is open */
	VRAMSWAP_A_QUEUE,           /* u32: a queue's number */
	VRAMSWAP_A_QUEUE_STATS,     /* nest of enum vramswap_queue_attr */
	VRAMSWAP_A_EVENT,           /* u32: enum vramswap_event */
	VRAMSWAP_A_REASON,          /* u32: errno that ended the session, 0 if none did */
	__VRAMSWAP_A_MAX,
};

#define VRAMSWAP_A_MAX (__VRAMSWAP_A_MAX - 1)

enum vramswap_queue_attr {
	VRAMSWAP_QUEUE_A_UNSPEC,
	VRAMSWAP_QUEUE_A_PAD,
	VRAMSWAP_QUEUE_A_INDEX,     /* u32 */
	VRAMSWAP_QUEUE_A_DOORBELLS, /* u64: times a sleeping helper was woken */
	VRAMSWAP_QUEUE_A_ENTERS,    /* u64: ENTER calls */
	VRAMSWAP_QUEUE_A_WAITS,     /* u64: ENTER calls that slept */
	VRAMSWAP_QUEUE_A_REPLAYED,  /* u64: requests sent again to a new helper */
	VRAMSWAP_QUEUE_A_INFLIGHT,  /* u32: requests under way or held now */
	VRAMSWAP_QUEUE_A_OP,        /* nest of enum vramswap_op_attr, for each vramswap_stat_op */
	VRAMSWAP_QUEUE_A_SPINS,     /* u64: answers that a submitter waited for awake, and got */
	__VRAMSWAP_QUEUE_A_MAX,
};

#define VRAMSWAP_QUEUE_A_MAX (__VRAMSWAP_QUEUE_A_MAX - 1)

/* Statistics count what the block layer asked for; a discard never reaches the helper. */
enum vramswap_stat_op {
	VRAMSWAP_STAT_READ = 0,
	VRAMSWAP_STAT_WRITE = 1,
	VRAMSWAP_STAT_WRITE_ZEROES = 2,
	VRAMSWAP_STAT_DISCARD = 3,
	VRAMSWAP_STAT_OPS,
};

/*
 * Bucket i counts latencies of 2^i up to 2^(i+1) - 1 ns (bucket 0 also 0 ns; the last also all that
 * is longer).
 */
#define VRAMSWAP_LATENCY_BUCKETS 40

enum vramswap_op_attr {
	VRAMSWAP_OP_A_UNSPEC,
	VRAMSWAP_OP_A_PAD,
	VRAMSWAP_OP_A_OP,         /* u32: enum vramswap_stat_op */
	VRAMSWAP_OP_A_REQUESTS,   /* u64: completed */
	VRAMSWAP_OP_A_BYTES,      /* u64: of those that were completed without an error */
	VRAMSWAP_OP_A_ERRORS,     /* u64 */
	VRAMSWAP_OP_A_LATENCY_NS, /* u64: sum over all requests */
	VRAMSWAP_OP_A_LATENCY,    /* binary: u64[VRAMSWAP_LATENCY_BUCKETS], queue_rq to end */
	__VRAMSWAP_OP_A_MAX,
};

#define VRAMSWAP_OP_A_MAX (__VRAMSWAP_OP_A_MAX - 1)

#endif
