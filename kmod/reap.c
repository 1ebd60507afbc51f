// SPDX-License-Identifier: GPL-2.0-only
/*
 * (6) From CQEs to the ends of their requests, for whoever takes them: ENTER, or a submitter that
 * waits.
 *
 * All that the helper can forge is looked at here, once: the CQ's tail and the CQEs.
 */
#include <linux/bvec.h>
#include <linux/nospec.h>

#include "vramswap.h"
#include "trace.h"

static void vs_copy_from_slot(struct request *rq, const char *from)
{
	struct req_iterator iter;
	struct bio_vec bvec;

	rq_for_each_segment(bvec, rq, iter) {
		memcpy_to_bvec(&bvec, from);
		from += bvec.bv_len;
	}
}

/*
 * The one place that turns a helper's status into the block layer's. False for a status that does
 * not exist.
 */
static bool vs_status(u16 from, blk_status_t *to)
{
	switch (from) {
	case VRAMSWAP_STATUS_OK:
		*to = BLK_STS_OK;
		return true;
	case VRAMSWAP_STATUS_IO_ERROR:
		*to = BLK_STS_IOERR;
		return true;
	case VRAMSWAP_STATUS_DATA_LOST:
		*to = BLK_STS_MEDIUM;
		return true;
	default:
		return false;
	}
}

/* (6) Believes a CQE, or does not. */
static int vs_reap_believe(struct vs_queue *queue, struct vramswap_cqe cqe, struct vs_done *done)
{
	unsigned int index = cqe.slot;

	if (index >= queue->device->slots || !vs_status(cqe.status, &done->status))
		return -EBADMSG;
	index = array_index_nospec(index, queue->device->slots);
	if (!vs_slot_claim(&queue->slots[index].owner, cqe.generation))
		return -EBADMSG;
	done->slot = index;
	done->rq = vs_slot_take(queue, index, done->status);
	return 0;
}

/*
 * Claims what is ready, at most limit requests, to be ended with vs_reap_end. *count is right also
 * when -EBADMSG is returned, for a broken ring: nothing more is taken from it, and the session must
 * end. Process context, no lock held.
 */
int vs_reap_claim(struct vs_queue *queue, struct vs_channel *channel, struct vs_done *done,
		  int limit, int *count)
{
	int ready = 0, taken, ret = 0;

	*count = 0;
	spin_lock(&queue->reap_lock);
	if (channel->broken)
		ret = -EBADMSG;
	/* Another session's by now, or nobody's: this one has ended, as ENTER will say. */
	else if (queue->channel == channel)
		ready = vs_cq_peek(&channel->ring);
	if (ready < 0)
		ret = ready;
	for (taken = 0; !ret && taken < min(ready, limit); taken++) {
		struct vramswap_cqe cqe = vs_cq_take(&channel->ring);

		if (vs_fault(VS_FAULT_lost_completion) ||
		    blk_should_fake_timeout(queue->device->disk->queue))
			continue;
		ret = vs_reap_believe(queue, cqe, &done[*count]);
		if (!ret)
			++*count;
		/* The same CQE again, as a helper might send it: it must not be believed. */
		if (!ret && *count < limit && vs_fault(VS_FAULT_duplicate))
			ret = vs_reap_believe(queue, cqe, &done[*count]);
	}
	if (ret)
		WRITE_ONCE(channel->broken, true);
	spin_unlock(&queue->reap_lock);
	return ret;
}

/*
 * Ends claimed requests. No lock held, so that an end may submit new I/O; bottom halves off, so
 * that a final fput goes to a worker: run as this thread's task work it could close the very device
 * that the thread serves.
 */
void vs_reap_end(struct vs_queue *queue, struct vs_channel *channel, struct vs_done *done,
		 int count)
{
	size_t slot_size = queue->device->slot_size;
	DEFINE_IO_COMP_BATCH(batch);
	int i;

	for (i = 0; i < count; i++)
		if (req_op(done[i].rq) == REQ_OP_READ && done[i].status == BLK_STS_OK)
			vs_copy_from_slot(done[i].rq, channel->staging + done[i].slot * slot_size);

	local_bh_disable();
	for (i = 0; i < count; i++) {
		/* Successes only: kernels differ in what the batch takes for an error. */
		if (done[i].status != BLK_STS_OK ||
		    !blk_mq_add_to_batch(done[i].rq, &batch, false, blk_mq_end_request_batch))
			blk_mq_end_request(done[i].rq, done[i].status);
	}
	if (batch.complete)
		batch.complete(&batch);
	local_bh_enable();
}
