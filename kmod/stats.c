// SPDX-License-Identifier: GPL-2.0-only
/* Counters and latency histograms. Each is written under one lock (vramswap.h) and read without. */
#include <linux/log2.h>

#include "vramswap.h"

static unsigned int vs_stats_bucket(u64 latency_ns)
{
	unsigned int bucket = latency_ns ? ilog2(latency_ns) : 0;

	return min(bucket, VRAMSWAP_LATENCY_BUCKETS - 1U);
}

/* For a counter that one lock, or a quiesced queue, guards, and that is read without. */
void vs_stats_add(u64 *counter, u64 n)
{
	WRITE_ONCE(*counter, *counter + n);
}

/* bytes: of the request. The lock that guards stats is held. */
void vs_stats_count(struct vs_op_stats *stats, blk_status_t status, unsigned int bytes,
		    u64 latency_ns)
{
	vs_stats_add(&stats->requests, 1);
	if (status == BLK_STS_OK)
		vs_stats_add(&stats->bytes, bytes);
	else
		vs_stats_add(&stats->errors, 1);
	vs_stats_add(&stats->latency_ns, latency_ns);
	vs_stats_add(&stats->histogram[vs_stats_bucket(latency_ns)], 1);
}
