// SPDX-License-Identifier: GPL-2.0-only
/*
 * From a request to a slot (1) and into the ring (2); holding, replaying and failing what is in the
 * slots.
 *
 * Once queues exist nothing here allocates, and nothing waits: there is a slot for each tag.
 */
#include <linux/bvec.h>
#include <linux/slab.h>

#include "vramswap.h"
#include "trace.h"

static struct vs_queue *vs_queue_of(struct blk_mq_hw_ctx *hctx)
{
	struct vs_device *device = hctx->queue->queuedata;

	return &device->queues[hctx->queue_num];
}

static u64 vs_request_offset(struct request *rq)
{
	return (u64)blk_rq_pos(rq) << SECTOR_SHIFT;
}

static void vs_copy_to_slot(struct request *rq, char *to)
{
	struct req_iterator iter;
	struct bio_vec bvec;

	rq_for_each_segment(bvec, rq, iter) {
		memcpy_from_bvec(to, &bvec);
		to += bvec.bv_len;
	}
}

static u8 vs_opcode(struct request *rq)
{
	switch (req_op(rq)) {
	case REQ_OP_READ:
		return VRAMSWAP_OP_READ;
	case REQ_OP_WRITE:
		return VRAMSWAP_OP_WRITE;
	case REQ_OP_WRITE_ZEROES:
		return VRAMSWAP_OP_WRITE_ZEROES;
	default:
		return 0;
	}
}

static enum vramswap_stat_op vs_stat_op(struct request *rq)
{
	switch (req_op(rq)) {
	case REQ_OP_READ:
		return VRAMSWAP_STAT_READ;
	case REQ_OP_WRITE:
		return VRAMSWAP_STAT_WRITE;
	case REQ_OP_WRITE_ZEROES:
		return VRAMSWAP_STAT_WRITE_ZEROES;
	default:
		return VRAMSWAP_STAT_DISCARD;
	}
}

/*
 * (2) Copies a write into the slot and publishes the SQE. From then on the request may end at any
 * moment. Returns the generation that the slot went out with. *spin says whether the submitter may
 * wait for it awake, and is taken back if he should not.
 */
static u32 vs_queue_send(struct vs_queue *queue, unsigned int index, u64 now_ns, bool *spin)
{
	struct vs_ring *ring = &queue->channel->ring;
	struct vs_slot *slot = &queue->slots[index];
	struct request *rq = slot->rq;
	u64 offset = vs_request_offset(rq);
	u32 length = blk_rq_bytes(rq);
	u8 opcode = vs_opcode(rq);
	struct vramswap_sqe *sqe;
	u32 generation;

	if (opcode == VRAMSWAP_OP_WRITE)
		vs_copy_to_slot(rq, queue->channel->staging +
					    (size_t)index * queue->device->slot_size);
	if (opcode != VRAMSWAP_OP_READ)
		vs_map_set(&queue->device->map, offset, length);
	WRITE_ONCE(slot->sent_ns, now_ns);

	spin_lock(&queue->submit_lock);
	if (*spin)
		*spin = vs_spin_note(queue);
	sqe = vs_sq_reserve(ring);
	generation = vs_slot_publish(&slot->owner);
	*sqe = (struct vramswap_sqe){
		.offset = offset,
		.length = length,
		.generation = generation,
		.slot = index,
		.opcode = opcode,
	};
	trace_vramswap_submit(queue, sqe);
	vs_sq_submit(ring);
	spin_unlock(&queue->submit_lock);
	vs_fault_kill(VS_FAULT_die_submit, queue->channel->session);
	return generation;
}

/*
 * Wakes the helper if there is one and it sleeps; true if so. Called once after a run of
 * vs_queue_send.
 */
static bool vs_queue_doorbell(struct vs_queue *queue)
{
	struct vs_channel *channel = queue->channel;

	if (!channel || !vs_doorbell_take(&channel->ring))
		return false;
	spin_lock(&queue->submit_lock);
	vs_stats_add(&queue->doorbells, 1);
	spin_unlock(&queue->submit_lock);
	trace_vramswap_doorbell(queue);
	vs_fault_kill(VS_FAULT_die_doorbell, channel->session);
	if (!vs_fault(VS_FAULT_doorbell))
		wake_up(&channel->wait);
	return true;
}

/*
 * A discard is only a change of the block map, so it is done at once and cannot take effect after a
 * later write: the write sets its bits again. (7.2's swap waits for discards in reclaim.)
 */
static void vs_queue_discard(struct vs_queue *queue, struct request *rq)
{
	u64 start = ktime_get_ns();

	vs_map_clear(&queue->device->map, vs_request_offset(rq), blk_rq_bytes(rq));
	spin_lock(&queue->submit_lock);
	vs_stats_count(&queue->stats[VRAMSWAP_STAT_DISCARD], BLK_STS_OK, blk_rq_bytes(rq),
		       ktime_get_ns() - start);
	spin_unlock(&queue->submit_lock);
	blk_mq_end_request(rq, BLK_STS_OK);
}

/*
 * What to do with a request. SEND is read with acquire, so that the channel is there to be seen.
 * Any other answer may be older than the queue's unquiescing, and is asked for again after a
 * barrier. Pairs with vs_device_join.
 */
static enum vs_gate vs_queue_gate(struct vs_device *device)
{
	enum vs_gate gate = smp_load_acquire(&device->gate); /* then the channel */

	if (likely(gate == VS_GATE_SEND))
		return gate;
	smp_rmb(); /* after the block layer's look at the quiesced flag */
	return smp_load_acquire(&device->gate); /* then the channel */
}

/* (1) A request arrives, on the CPU that submitted it. Its tag is its slot. */
static blk_status_t vs_queue_rq(struct blk_mq_hw_ctx *hctx, const struct blk_mq_queue_data *bd)
{
	struct vs_queue *queue = vs_queue_of(hctx);
	struct request *rq = bd->rq;
	unsigned int index = rq->tag;
	struct vs_slot *slot = &queue->slots[index];
	enum vs_gate gate = vs_queue_gate(queue->device);
	bool last = bd->last, spin = false, woken;
	u32 generation = 0;

	if (unlikely(gate == VS_GATE_FAIL))
		return BLK_STS_IOERR;
	if (unlikely(!vs_opcode(rq) && req_op(rq) != REQ_OP_DISCARD))
		return BLK_STS_NOTSUPP;

	blk_mq_start_request(rq);
	if (req_op(rq) == REQ_OP_DISCARD) {
		vs_queue_discard(queue, rq);
	} else {
		trace_vramswap_request(queue, index, rq);
		slot->start_ns = ktime_get_ns();
		WRITE_ONCE(slot->rq, rq);
		if (likely(gate == VS_GATE_SEND)) {
			vs_fault_kill(VS_FAULT_die_request, queue->channel->session);
			spin = last && vs_spin_may(rq);
			generation = vs_queue_send(queue, index, slot->start_ns, &spin);
		}
	}
	if (last) {
		woken = vs_queue_doorbell(queue);
		if (spin)
			vs_spin(queue, index, generation, woken);
	}
	return BLK_STS_OK;
}

static void vs_queue_commit(struct blk_mq_hw_ctx *hctx)
{
	vs_queue_doorbell(vs_queue_of(hctx));
}

/* Has the helper left this slot unanswered for longer than it may? */
static bool vs_slot_silent(struct vs_queue *queue, struct vs_slot *slot)
{
	s64 limit_ns = (s64)READ_ONCE(queue->device->io_timeout_ms) * NSEC_PER_MSEC;
	/* Before sent_ns, which was written before the owner word (K); the clock last. */
	u32 owner = smp_load_acquire(&slot->owner);
	s64 sent_ns = READ_ONCE(slot->sent_ns);

	return READ_ONCE(slot->rq) && (owner & VS_SLOT_HELPER) &&
	       (s64)ktime_get_ns() - sent_ns >= limit_ns;
}

/*
 * Called by the block layer for a request that is older than the I/O timeout. It is never failed
 * for that: if the helper has been silent, the session ends and the request is held; the decision
 * is made in process context.
 */
static enum blk_eh_timer_return vs_queue_timeout(struct request *rq)
{
	struct vs_queue *queue = vs_queue_of(rq->mq_hctx);

	if (vs_slot_silent(queue, &queue->slots[rq->tag]))
		queue_work(vs_workqueue, &queue->device->doubt_work);
	return BLK_EH_RESET_TIMER;
}

const struct blk_mq_ops vs_queue_ops = {
	.queue_rq = vs_queue_rq,
	.commit_rqs = vs_queue_commit,
	.timeout = vs_queue_timeout,
};

/*
 * Takes the request out of a slot that the caller has claimed or revoked, and counts it. Reap lock
 * held.
 */
struct request *vs_slot_take(struct vs_queue *queue, unsigned int index, blk_status_t status)
{
	struct vs_slot *slot = &queue->slots[index];
	struct request *rq = slot->rq;
	u64 latency_ns = ktime_get_ns() - slot->start_ns;

	lockdep_assert_held(&queue->reap_lock);
	WRITE_ONCE(slot->rq, NULL);
	vs_stats_count(&queue->stats[vs_stat_op(rq)], status, blk_rq_bytes(rq), latency_ns);
	trace_vramswap_complete(queue, index, slot->owner, status, latency_ns);
	return rq;
}

/* Requests under way or held. A moment's view. */
unsigned int vs_queue_inflight(struct vs_queue *queue)
{
	unsigned int i, count = 0;

	for (i = 0; i < queue->device->slots; i++)
		count += !!READ_ONCE(queue->slots[i].rq);
	return count;
}

/* Is any request unanswered for longer than the I/O timeout? */
bool vs_queues_silent(struct vs_device *device)
{
	unsigned int i, s;

	for (i = 0; i < device->queue_count; i++)
		for (s = 0; s < device->slots; s++)
			if (vs_slot_silent(&device->queues[i], &device->queues[i].slots[s]))
				return true;
	return false;
}

/* Was an impossible CQE found in any queue's ring? device->lock held. */
bool vs_queues_broken(struct vs_device *device)
{
	unsigned int i;

	lockdep_assert_held(&device->lock);
	for (i = 0; i < device->queue_count; i++)
		if (device->queues[i].channel && READ_ONCE(device->queues[i].channel->broken))
			return true;
	return false;
}

/* Joins all queues to a session. The block queue is quiesced, device->lock held. */
void vs_queues_bind(struct vs_device *device, struct vs_session *session)
{
	unsigned int i;

	lockdep_assert_held(&device->lock);
	for (i = 0; i < device->queue_count; i++) {
		struct vs_queue *queue = &device->queues[i];

		spin_lock(&queue->reap_lock);
		queue->channel = &session->channels[i];
		spin_unlock(&queue->reap_lock);
	}
}

/*
 * When the request in a slot was held first, which is `since` if it never was before. Quiesced,
 * device->lock held.
 */
static u64 vs_slot_held_since(struct vs_slot *slot, u64 since)
{
	if (slot->held_start_ns != slot->start_ns) {
		slot->held_start_ns = slot->start_ns;
		slot->held_since_ns = since;
	}
	return slot->held_since_ns;
}

/*
 * Parts the queues from their session. The block queue is quiesced, so that afterwards nobody but
 * the caller touches a slot. Slots that were out belong to the kernel again. Returns how long ago
 * the first of the requests in them was held first, ns. Quiesced, device->lock held.
 */
u64 vs_queues_unbind(struct vs_device *device)
{
	u64 now = ktime_get_ns(), longest = 0, since;
	unsigned int i, s;

	lockdep_assert_held(&device->lock);
	for (i = 0; i < device->queue_count; i++) {
		struct vs_queue *queue = &device->queues[i];

		spin_lock(&queue->reap_lock);
		queue->channel = NULL;
		for (s = 0; s < device->slots; s++) {
			struct vs_slot *slot = &queue->slots[s];

			vs_slot_revoke(&slot->owner);
			if (!slot->rq)
				continue;
			since = max(vs_slot_held_since(slot, now), device->hold_changed_ns);
			longest = max(longest, now - min(now, since));
		}
		spin_unlock(&queue->reap_lock);
	}
	return longest;
}

/*
 * Sends every held request to the session that the queues were just bound to. Quiesced,
 * device->lock held.
 */
void vs_queues_replay(struct vs_device *device)
{
	unsigned int i, s;

	lockdep_assert_held(&device->lock);
	for (i = 0; i < device->queue_count; i++) {
		struct vs_queue *queue = &device->queues[i];

		for (s = 0; s < device->slots; s++) {
			struct vs_slot *slot = &queue->slots[s];
			bool spin = false;

			if (!slot->rq)
				continue;
			/* If that says nothing yet, it came while there was no helper. */
			vs_slot_held_since(slot, slot->start_ns);
			vs_stats_add(&queue->replayed, 1);
			vs_queue_send(queue, s, ktime_get_ns(), &spin);
		}
		vs_queue_doorbell(queue);
	}
}

/* Ends every held request with an I/O error. Unbound, quiesced, device->lock held. */
void vs_queues_fail(struct vs_device *device)
{
	unsigned int i, s;

	lockdep_assert_held(&device->lock);
	for (i = 0; i < device->queue_count; i++) {
		struct vs_queue *queue = &device->queues[i];

		for (s = 0; s < device->slots; s++) {
			struct request *rq;

			if (!queue->slots[s].rq)
				continue;
			spin_lock(&queue->reap_lock);
			rq = vs_slot_take(queue, s, BLK_STS_IOERR);
			spin_unlock(&queue->reap_lock);
			local_bh_disable(); /* as in vs_reap_end */
			blk_mq_end_request(rq, BLK_STS_IOERR);
			local_bh_enable();
		}
	}
}

int vs_queues_create(struct vs_device *device)
{
	unsigned int i;

	if (!vs_fault(VS_FAULT_queues))
		device->queues = kcalloc(device->queue_count, sizeof(*device->queues), GFP_KERNEL);
	if (!device->queues)
		return -ENOMEM;
	for (i = 0; i < device->queue_count; i++) {
		struct vs_queue *queue = &device->queues[i];

		queue->device = device;
		queue->index = i;
		spin_lock_init(&queue->submit_lock);
		spin_lock_init(&queue->reap_lock);
		if (!vs_fault(VS_FAULT_slots))
			queue->slots = kcalloc(device->slots, sizeof(*queue->slots), GFP_KERNEL);
		if (!queue->slots) {
			vs_queues_destroy(device);
			return -ENOMEM;
		}
	}
	return 0;
}

void vs_queues_destroy(struct vs_device *device)
{
	unsigned int i;

	for (i = 0; device->queues && i < device->queue_count; i++)
		kfree(device->queues[i].slots);
	kfree(device->queues);
	device->queues = NULL;
}
