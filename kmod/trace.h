/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tracepoints along a request's six steps (docs/ARCHITECTURE.md).
 *
 *	(1) vramswap_request    (2) vramswap_submit, vramswap_doorbell
 *	(3) (4) (5) happen in the helper: its probes sqe_taken, engine_submit, engine_done,
 *	    cqe_published; what the kernel learns of them is in vramswap_enter: SQEs taken so far,
 *	    CQEs found
 *	(6) vramswap_complete
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM vramswap

#if !defined(VRAMSWAP_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define VRAMSWAP_TRACE_H

#include <linux/tracepoint.h>

#include "vramswap.h"

TRACE_EVENT(vramswap_request,
	TP_PROTO(struct vs_queue *queue, unsigned int slot, struct request *rq),
	TP_ARGS(queue, slot, rq),
	TP_STRUCT__entry(
		__field(u64, offset)
		__field(u32, length)
		__field(u32, device)
		__field(u16, queue)
		__field(u16, slot)
		__field(u8, op)
	),
	TP_fast_assign(
		__entry->offset = (u64)blk_rq_pos(rq) << SECTOR_SHIFT;
		__entry->length = blk_rq_bytes(rq);
		__entry->device = queue->device->index;
		__entry->queue = queue->index;
		__entry->slot = slot;
		__entry->op = (__force u32)req_op(rq);
	),
	TP_printk("device=%u queue=%u slot=%u op=%u offset=%llu length=%u",
		  __entry->device, __entry->queue, __entry->slot, __entry->op, __entry->offset,
		  __entry->length)
);

TRACE_EVENT(vramswap_submit,
	TP_PROTO(struct vs_queue *queue, const struct vramswap_sqe *sqe),
	TP_ARGS(queue, sqe),
	TP_STRUCT__entry(
		__field(u64, offset)
		__field(u32, length)
		__field(u32, generation)
		__field(u32, device)
		__field(u16, queue)
		__field(u16, slot)
		__field(u8, opcode)
	),
	TP_fast_assign(
		__entry->offset = sqe->offset;
		__entry->length = sqe->length;
		__entry->generation = sqe->generation;
		__entry->device = queue->device->index;
		__entry->queue = queue->index;
		__entry->slot = sqe->slot;
		__entry->opcode = sqe->opcode;
	),
	TP_printk("device=%u queue=%u slot=%u generation=%u opcode=%u offset=%llu length=%u",
		  __entry->device, __entry->queue, __entry->slot, __entry->generation,
		  __entry->opcode, __entry->offset, __entry->length)
);

TRACE_EVENT(vramswap_doorbell,
	TP_PROTO(struct vs_queue *queue),
	TP_ARGS(queue),
	TP_STRUCT__entry(
		__field(u32, device)
		__field(u16, queue)
	),
	TP_fast_assign(
		__entry->device = queue->device->index;
		__entry->queue = queue->index;
	),
	TP_printk("device=%u queue=%u", __entry->device, __entry->queue)
);

TRACE_EVENT(vramswap_enter,
	TP_PROTO(struct vs_queue *queue, u32 sq_head, int found),
	TP_ARGS(queue, sq_head, found),
	TP_STRUCT__entry(
		__field(u32, device)
		__field(u32, sq_head)
		__field(int, found)
		__field(u16, queue)
	),
	TP_fast_assign(
		__entry->device = queue->device->index;
		__entry->sq_head = sq_head;
		__entry->found = found;
		__entry->queue = queue->index;
	),
	TP_printk("device=%u queue=%u sq_head=%u found=%d",
		  __entry->device, __entry->queue, __entry->sq_head, __entry->found)
);

TRACE_EVENT(vramswap_complete,
	TP_PROTO(struct vs_queue *queue, unsigned int slot, u32 generation, blk_status_t status,
		 u64 latency_ns),
	TP_ARGS(queue, slot, generation, status, latency_ns),
	TP_STRUCT__entry(
		__field(u64, latency_ns)
		__field(u32, generation)
		__field(u32, device)
		__field(u16, queue)
		__field(u16, slot)
		__field(u8, status)
	),
	TP_fast_assign(
		__entry->latency_ns = latency_ns;
		__entry->generation = generation;
		__entry->device = queue->device->index;
		__entry->queue = queue->index;
		__entry->slot = slot;
		__entry->status = (__force u8)status;
	),
	TP_printk("device=%u queue=%u slot=%u generation=%u status=%u latency_ns=%llu",
		  __entry->device, __entry->queue, __entry->slot, __entry->generation,
		  __entry->status, __entry->latency_ns)
);

TRACE_EVENT(vramswap_state,
	TP_PROTO(unsigned int device, unsigned int from, unsigned int to, int reason),
	TP_ARGS(device, from, to, reason),
	TP_STRUCT__entry(
		__field(u32, device)
		__field(u32, from)
		__field(u32, to)
		__field(int, reason)
	),
	TP_fast_assign(
		__entry->device = device;
		__entry->from = from;
		__entry->to = to;
		__entry->reason = reason;
	),
	TP_printk("device=%u from=%u to=%u reason=%d",
		  __entry->device, __entry->from, __entry->to, __entry->reason)
);

#endif

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
