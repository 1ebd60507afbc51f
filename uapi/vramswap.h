/* SPDX-License-Identifier: (GPL-2.0-only WITH Linux-syscall-note) OR MIT */
/*
 * What vramswap.ko and its helper share: two rings, staging slots, four ioctls.
 *
 * Numbers are in the machine's own byte order, widths are fixed, padding is spelt out; sizes and
 * offsets are asserted below, in C and in C++. A change of any of them is a new
 * VRAMSWAP_ABI_VERSION.
 *
 * Who writes what. The kernel writes the submission queues (SQ) and the block map; the helper can
 * only map them for reading. The helper writes the completion queues (CQ). Both write the staging
 * slots, each only while it owns them: a slot is the helper's from the moment its SQE is published
 * until its CQE is published, and the kernel's otherwise.
 *
 * Life of a session: open /dev/vramswapcN, ATTACH, mmap the four regions, START, then ENTER in a
 * loop for each queue, then STOP or the end of the process. One open file is one session; one
 * session at a time for each device.
 */
#ifndef VRAMSWAP_UAPI_H
#define VRAMSWAP_UAPI_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define VRAMSWAP_ABI_VERSION 1U

/*
 * The unit of every offset, length and capacity, in bytes: the page size of the machines that swap
 * to this device.
 */
#define VRAMSWAP_BLOCK_SIZE 4096U

/* Bounds that the kernel enforces on a device's shape. */
#define VRAMSWAP_MAX_QUEUES 64U
#define VRAMSWAP_MIN_SLOTS 4U
#define VRAMSWAP_MAX_SLOTS 1024U
#define VRAMSWAP_MIN_SLOT_SIZE VRAMSWAP_BLOCK_SIZE
#define VRAMSWAP_MAX_SLOT_SIZE (1024U * 1024U)
#define VRAMSWAP_MAX_STAGING_BYTES (1ULL << 30)
#define VRAMSWAP_MIN_CAPACITY (16ULL * VRAMSWAP_BLOCK_SIZE)
#define VRAMSWAP_MAX_CAPACITY (1ULL << 43)

/* The longest WRITE_ZEROES that one SQE asks for, in bytes. */
#define VRAMSWAP_MAX_ZEROES_BYTES (32U * 1024U * 1024U)

/*
 * What an SQE asks for. READ fills the slot from the store, WRITE stores the slot, WRITE_ZEROES
 * uses no slot memory.
 */
enum vramswap_opcode {
	VRAMSWAP_OP_READ = 1,
	VRAMSWAP_OP_WRITE = 2,
	VRAMSWAP_OP_WRITE_ZEROES = 3,
};

/* What a CQE answers. Anything else is a broken ring and ends the session. */
enum vramswap_status {
	VRAMSWAP_STATUS_OK = 0,
	VRAMSWAP_STATUS_IO_ERROR = 1,  /* this transfer failed; the store's other bytes are sound */
	VRAMSWAP_STATUS_DATA_LOST = 2, /* the bytes asked for no longer exist */
};

/* One request, 32 bytes. */
struct vramswap_sqe {
	__u64 offset;     /* into the device, bytes, whole blocks */
	__u32 length;     /* bytes, whole blocks; at most a slot, but for WRITE_ZEROES (above) */
	__u32 generation; /* of the slot; to be copied into the CQE */
	__u16 slot;       /* index into this queue's staging */
	__u8 opcode;      /* enum vramswap_opcode */
	__u8 reserved0;
	__u32 reserved1;
	__u64 reserved2;
};

/* One answer, 8 bytes, so that the kernel takes it in a single load. */
struct vramswap_cqe {
	__u16 slot;
	__u16 status;     /* enum vramswap_status */
	__u32 generation; /* as in the SQE */
};

/*
 * A queue's SQ: this header, then ring_entries SQEs. The tail counts SQEs ever published, modulo
 * 2^32; an SQE's place is its number modulo ring_entries. The consumer's head is the helper's own
 * affair: a slot has one SQE at most under way and there are at least as many entries as slots, so
 * the ring cannot overflow.
 */
struct vramswap_sq {
	__u32 tail;
	__u32 flags; /* VRAMSWAP_SQ_* */
	__u32 reserved[14];
};

/*
 * The kernel takes this queue's CQEs by itself at the moment, so a helper that finds this set after
 * it has published some need not ENTER for them. To be looked at after a full barrier.
 */
#define VRAMSWAP_SQ_KERNEL_REAPS (1U << 0)

/*
 * A queue's CQ: this header, then ring_entries CQEs. It cannot overflow for the same reason. Starts
 * at zero.
 */
struct vramswap_cq {
	__u32 tail;
	__u32 reserved[15];
};

/* A part of the shared memory: what to give mmap as offset and length, bytes. */
struct vramswap_region {
	__u64 offset;
	__u64 size;
};

#define VRAMSWAP_LABEL_SIZE 64

/*
 * VRAMSWAP_IOC_ATTACH: makes the session's shared memory and says where it is.
 *
 * Queue q's SQ lies at sq.offset + q * sq_stride, its CQ at cq.offset + q * cq_stride, and its slot
 * s at staging.offset + (q * slots + s) * slot_size. The block map has a bit for each block, set
 * while the block holds data (since its last write, until its discard): bit b is bit b % 64 of the
 * 64-bit word b / 64.
 *
 * Errors:
 *   EPROTONOSUPPORT  abi_version is not the kernel's; the field then holds the kernel's
 *   EINVAL           a reserved field or unknown flag is not zero, or label has no terminator
 *   ERANGE           capacity is zero, too small, too large, no multiple of VRAMSWAP_BLOCK_SIZE,
 *                    or, with a cookie, not that of the contents held
 *   EALREADY         this file is attached
 *   EBUSY            the device failed and is still in use: close its users (swapoff), then attach;
 *                    or an earlier session that was silent or broke the ring still has its file
 *                    open: its process could yet write to the store, so it must close, or end,
 *                    first
 *   EEXIST           cookie is zero, but the device holds contents for a helper that vouches for
 *                    them
 *   ESTALE           cookie is not that of the contents held, or none are held
 *   ENOMEM           no memory for rings, staging or map; nothing has changed
 * and open itself: EBUSY (another session has the device), ENODEV (the device is being deleted)
 */
struct vramswap_attach {
	__u32 abi_version; /* in: VRAMSWAP_ABI_VERSION; out: the kernel's */
	__u32 flags;       /* in: 0 */
	__u64 capacity;    /* in: bytes the helper stores */

	/*
	 * In: 0 for new contents, or the name of those that this helper holds intact; out: their
	 * name.
	 */
	__u64 cookie;

	/* In: what stores the bytes, for people; a terminated string. */
	char label[VRAMSWAP_LABEL_SIZE];

	__u32 device; /* out, as all below: N of vramswapN */
	__u32 queues;
	__u32 slots; /* for each queue */
	__u32 slot_size;
	__u32 ring_entries; /* of each SQ and each CQ, a power of two */
	__u32 reserved0;    /* in: 0 */
	struct vramswap_region sq;
	struct vramswap_region cq;
	struct vramswap_region staging;
	struct vramswap_region map;
	__u64 sq_stride;
	__u64 cq_stride;
	__u64 reserved1[4]; /* in: 0 */
};

/* Afterwards wait until the SQ holds more than sq_head SQEs. */
#define VRAMSWAP_ENTER_WAIT (1U << 0)

/*
 * Added to what ENTER returns if the caller slept: nothing came for spin_us, or another task wanted
 * the CPU.
 */
#define VRAMSWAP_ENTER_SLEPT (1U << 30)

/* The longest that ENTER waits awake, however much longer spin_us says. */
#define VRAMSWAP_MAX_SPIN_US 1000U

/*
 * VRAMSWAP_IOC_ENTER: ends the requests whose CQEs are published on one queue; then, with WAIT,
 * waits until that queue's SQ tail differs from sq_head: awake for spin_us at most, and only while
 * no other task wants the CPU, then asleep. Returns the number of CQEs taken, and
 * VRAMSWAP_ENTER_SLEPT.
 *
 * Errors:
 *   ENOTCONN   the session was not started
 *   EINVAL     no such queue, unknown flag, or a reserved field is not zero
 *   EDEADLK    the calling thread is no I/O flusher (prctl PR_SET_IO_FLUSHER): it could wait for
 *              itself
 *   EBUSY      another thread sleeps on this queue already
 *   EINTR      a signal came while waiting, after CQEs were taken perhaps; call again
 *   EBADMSG    the ring is broken, by a CQE or tail that the kernel did not expect: the session
 *              has ended
 *   ETIMEDOUT  the helper was silent for longer than the device's I/O timeout: the session has
 *              ended
 *   ESTALE     the hold time ran out before the session was started: the contents are given up
 *   ESHUTDOWN  the session was stopped
 * After a session has ended every call returns the same error. Unless it was stopped, the contents
 * are held: close the file, and attach anew.
 */
struct vramswap_enter {
	__u32 queue;
	__u32 flags;
	__u32 sq_head; /* SQEs that the helper has taken from this queue, modulo 2^32 */
	__u32 spin_us; /* with WAIT: how long to wait awake, VRAMSWAP_MAX_SPIN_US at most */
	__u64 reserved0;
};

/*
 * VRAMSWAP_IOC_START: the device goes live; requests held for this helper's contents are sent
 * again.
 *
 * Errors:
 *   ENOTCONN  not attached
 *   EALREADY  started
 *   EDEADLK   the caller could not survive reclaim: the thread is no I/O flusher (prctl
 *             PR_SET_IO_FLUSHER) or its memory is not locked, present and future (mlockall)
 *   or the error with which the session ended (see ENTER)
 *
 * VRAMSWAP_IOC_STOP: ends the session for good; the contents are given up.
 *
 * Errors:
 *   ENOTCONN  not attached
 *   EBUSY     the block device is in use: swapoff or unmount first; nothing has changed
 *   or the error with which the session ended
 */
#define VRAMSWAP_IOC_MAGIC 0xB3
#define VRAMSWAP_IOC_ATTACH _IOWR(VRAMSWAP_IOC_MAGIC, 0x01, struct vramswap_attach)
#define VRAMSWAP_IOC_START _IO(VRAMSWAP_IOC_MAGIC, 0x02)
#define VRAMSWAP_IOC_ENTER _IOW(VRAMSWAP_IOC_MAGIC, 0x03, struct vramswap_enter)
#define VRAMSWAP_IOC_STOP _IO(VRAMSWAP_IOC_MAGIC, 0x04)

/*
 * mmap: the offsets and sizes that ATTACH gave, whole regions only, MAP_SHARED. Errors: EACCES (SQ
 * or map asked for with PROT_WRITE, or anything executable), EINVAL (other offset or size, or a
 * private mapping), ENOTCONN (not attached).
 */

#ifdef __cplusplus
#define VRAMSWAP_ASSERT(what) static_assert(what, #what)
#define VRAMSWAP_OFFSETOF(type, member) __builtin_offsetof(type, member)
#else
#define VRAMSWAP_ASSERT(what) _Static_assert(what, #what)
#define VRAMSWAP_OFFSETOF(type, member) __builtin_offsetof(struct type, member)
#endif

VRAMSWAP_ASSERT(sizeof(struct vramswap_sqe) == 32);
VRAMSWAP_ASSERT(VRAMSWAP_OFFSETOF(vramswap_sqe, length) == 8);
VRAMSWAP_ASSERT(VRAMSWAP_OFFSETOF(vramswap_sqe, generation) == 12);
VRAMSWAP_ASSERT(VRAMSWAP_OFFSETOF(vramswap_sqe, slot) == 16);
VRAMSWAP_ASSERT(VRAMSWAP_OFFSETOF(vramswap_sqe, opcode) == 18);
VRAMSWAP_ASSERT(VRAMSWAP_OFFSETOF(vramswap_sqe, reserved2) == 24);
VRAMSWAP_ASSERT(sizeof(struct vramswap_cqe) == 8);
VRAMSWAP_ASSERT(VRAMSWAP_OFFSETOF(vramswap_cqe, status) == 2);
VRAMSWAP_ASSERT(VRAMSWAP_OFFSETOF(vramswap_cqe, generation) == 4);
VRAMSWAP_ASSERT(sizeof(struct vramswap_sq) == 64);
VRAMSWAP_ASSERT(VRAMSWAP_OFFSETOF(vramswap_sq, flags) == 4);
VRAMSWAP_ASSERT(sizeof(struct vramswap_cq) == 64);
VRAMSWAP_ASSERT(sizeof(struct vramswap_region) == 16);
VRAMSWAP_ASSERT(sizeof(struct vramswap_attach) == 224);
VRAMSWAP_ASSERT(VRAMSWAP_OFFSETOF(vramswap_attach, label) == 24);
VRAMSWAP_ASSERT(VRAMSWAP_OFFSETOF(vramswap_attach, device) == 88);
VRAMSWAP_ASSERT(VRAMSWAP_OFFSETOF(vramswap_attach, sq) == 112);
VRAMSWAP_ASSERT(VRAMSWAP_OFFSETOF(vramswap_attach, sq_stride) == 176);
VRAMSWAP_ASSERT(VRAMSWAP_OFFSETOF(vramswap_attach, reserved1) == 192);
VRAMSWAP_ASSERT(sizeof(struct vramswap_enter) == 24);
VRAMSWAP_ASSERT(VRAMSWAP_OFFSETOF(vramswap_enter, reserved0) == 16);

#endif
