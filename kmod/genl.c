// SPDX-License-Identifier: GPL-2.0-only
/*
 * Generic netlink family "vramswap": the one way to make, watch and change devices. Contract:
 * uapi/vramswap_genl.h.
 *
 * No pre_doit, user headers or split ops: they differ between the kernels that we build for.
 */
#include <linux/capability.h>
#include <linux/module.h>
#include <linux/nospec.h>
#include <linux/sched/mm.h>
#include <net/genetlink.h>

#include "vramswap.h"

static struct genl_family vs_genl_family;

static const struct nla_policy vs_genl_index_policy[] = {
	[VRAMSWAP_A_INDEX] = NLA_POLICY_MAX(NLA_U32, VS_MAX_DEVICES - 1),
};

static const struct nla_policy vs_genl_add_policy[] = {
	[VRAMSWAP_A_INDEX] = NLA_POLICY_MAX(NLA_U32, VS_MAX_DEVICES - 1),
	[VRAMSWAP_A_QUEUES] = { .type = NLA_U32 },
	[VRAMSWAP_A_SLOTS] = { .type = NLA_U32 },
	[VRAMSWAP_A_SLOT_SIZE] = { .type = NLA_U32 },
};

static const struct nla_policy vs_genl_set_policy[] = {
	[VRAMSWAP_A_INDEX] = NLA_POLICY_MAX(NLA_U32, VS_MAX_DEVICES - 1),
	[VRAMSWAP_A_HOLD_TIMEOUT_MS] = { .type = NLA_U32 },
	[VRAMSWAP_A_IO_TIMEOUT_MS] = { .type = NLA_U32 },
};

static const struct nla_policy vs_genl_stats_policy[] = {
	[VRAMSWAP_A_INDEX] = NLA_POLICY_MAX(NLA_U32, VS_MAX_DEVICES - 1),
	[VRAMSWAP_A_QUEUE] = { .type = NLA_U32 },
};

/* A message of our usual size; NULL if there is no memory. */
static struct sk_buff *vs_genl_new(enum vs_fault fault, gfp_t gfp)
{
	return vs_fault(fault) ? NULL : genlmsg_new(NLMSG_GOODSIZE, gfp);
}

static int vs_genl_put_u64(struct sk_buff *skb, int attr, u64 value)
{
	return nla_put_u64_64bit(skb, attr, value, VRAMSWAP_A_PAD);
}

/* All that GET answers with. device->lock held. */
static int vs_genl_put_device(struct sk_buff *skb, const struct vs_device *device)
{
	struct pid *pid = device->session ? device->session->pid : NULL;

	lockdep_assert_held(&device->lock);
	if (nla_put_u32(skb, VRAMSWAP_A_INDEX, device->index) ||
	    nla_put_string(skb, VRAMSWAP_A_NAME, device->disk->disk_name) ||
	    nla_put_u32(skb, VRAMSWAP_A_STATE, device->state) ||
	    vs_genl_put_u64(skb, VRAMSWAP_A_CAPACITY, device->capacity) ||
	    vs_genl_put_u64(skb, VRAMSWAP_A_USED, vs_map_used(&device->map)) ||
	    nla_put_u32(skb, VRAMSWAP_A_QUEUES, device->queue_count) ||
	    nla_put_u32(skb, VRAMSWAP_A_SLOTS, device->slots) ||
	    nla_put_u32(skb, VRAMSWAP_A_SLOT_SIZE, device->slot_size) ||
	    nla_put_u32(skb, VRAMSWAP_A_HOLD_TIMEOUT_MS, device->hold_timeout_ms) ||
	    nla_put_u32(skb, VRAMSWAP_A_IO_TIMEOUT_MS, device->io_timeout_ms) ||
	    vs_genl_put_u64(skb, VRAMSWAP_A_COOKIE, device->cookie) ||
	    nla_put_string(skb, VRAMSWAP_A_LABEL, device->label) ||
	    nla_put_u32(skb, VRAMSWAP_A_HELPER_PID, pid_nr(pid)) ||
	    nla_put_u32(skb, VRAMSWAP_A_OPENERS, disk_openers(device->disk)) ||
	    nla_put_u32(skb, VRAMSWAP_A_REASON, device->reason))
		return -EMSGSIZE;
	return 0;
}

static int vs_genl_put_op(struct sk_buff *skb, unsigned int op, const struct vs_op_stats *stats)
{
	u64 histogram[VRAMSWAP_LATENCY_BUCKETS];
	struct nlattr *nest = nla_nest_start(skb, VRAMSWAP_QUEUE_A_OP);
	int i;

	for (i = 0; i < VRAMSWAP_LATENCY_BUCKETS; i++)
		histogram[i] = READ_ONCE(stats->histogram[i]);
	if (!nest || nla_put_u32(skb, VRAMSWAP_OP_A_OP, op) ||
	    nla_put_u64_64bit(skb, VRAMSWAP_OP_A_REQUESTS, READ_ONCE(stats->requests),
			      VRAMSWAP_OP_A_PAD) ||
	    nla_put_u64_64bit(skb, VRAMSWAP_OP_A_BYTES, READ_ONCE(stats->bytes),
			      VRAMSWAP_OP_A_PAD) ||
	    nla_put_u64_64bit(skb, VRAMSWAP_OP_A_ERRORS, READ_ONCE(stats->errors),
			      VRAMSWAP_OP_A_PAD) ||
	    nla_put_u64_64bit(skb, VRAMSWAP_OP_A_LATENCY_NS, READ_ONCE(stats->latency_ns),
			      VRAMSWAP_OP_A_PAD) ||
	    nla_put(skb, VRAMSWAP_OP_A_LATENCY, sizeof(histogram), histogram))
		return -EMSGSIZE;
	nla_nest_end(skb, nest);
	return 0;
}

static int vs_genl_put_queue_u64(struct sk_buff *skb, int attr, const u64 *counter)
{
	return nla_put_u64_64bit(skb, attr, READ_ONCE(*counter), VRAMSWAP_QUEUE_A_PAD);
}

static int vs_genl_put_queue(struct sk_buff *skb, struct vs_queue *queue)
{
	struct nlattr *nest = nla_nest_start(skb, VRAMSWAP_A_QUEUE_STATS);
	unsigned int op;

	if (!nest || nla_put_u32(skb, VRAMSWAP_QUEUE_A_INDEX, queue->index) ||
	    vs_genl_put_queue_u64(skb, VRAMSWAP_QUEUE_A_DOORBELLS, &queue->doorbells) ||
	    vs_genl_put_queue_u64(skb, VRAMSWAP_QUEUE_A_ENTERS, &queue->enters) ||
	    vs_genl_put_queue_u64(skb, VRAMSWAP_QUEUE_A_WAITS, &queue->waits) ||
	    vs_genl_put_queue_u64(skb, VRAMSWAP_QUEUE_A_REPLAYED, &queue->replayed) ||
	    vs_genl_put_queue_u64(skb, VRAMSWAP_QUEUE_A_SPINS, &queue->spins) ||
	    nla_put_u32(skb, VRAMSWAP_QUEUE_A_INFLIGHT, vs_queue_inflight(queue)))
		return -EMSGSIZE;
	for (op = 0; op < VRAMSWAP_STAT_OPS; op++)
		if (vs_genl_put_op(skb, op, &queue->stats[op]))
			return -EMSGSIZE;
	nla_nest_end(skb, nest);
	return 0;
}

/* The device that a request names, or NULL, and then *ret says why. vs_devices_lock held. */
static struct vs_device *vs_genl_device(struct genl_info *info, int *ret)
{
	struct vs_device *device;

	*ret = -EINVAL;
	if (!info->attrs[VRAMSWAP_A_INDEX]) {
		GENL_SET_ERR_MSG(info, "which device? its number is missing");
		return NULL;
	}
	*ret = -ENODEV;
	device = vs_registry_find(nla_get_u32(info->attrs[VRAMSWAP_A_INDEX]));
	if (!device)
		GENL_SET_ERR_MSG(info, "there is no device of this number");
	return device;
}

/* Answers with one device. */
static int vs_genl_reply_device(struct genl_info *info, u8 cmd, struct vs_device *device)
{
	struct sk_buff *skb = vs_genl_new(VS_FAULT_reply, VS_GFP);
	void *header;
	int ret;

	if (!skb)
		return -ENOMEM;
	header = genlmsg_put_reply(skb, info, &vs_genl_family, 0, cmd);
	mutex_lock(&device->lock);
	ret = header && !vs_fault(VS_FAULT_reply_full) ? vs_genl_put_device(skb, device) :
							 -EMSGSIZE;
	mutex_unlock(&device->lock);
	if (ret) {
		nlmsg_free(skb);
		return ret;
	}
	genlmsg_end(skb, header);
	return genlmsg_reply(skb, info);
}

/* GENL_ADMIN_PERM would ask for CAP_NET_ADMIN, which has no business with swap. */
static int vs_genl_check_admin(struct sk_buff *skb, struct genl_info *info)
{
	if (netlink_capable(skb, CAP_SYS_ADMIN))
		return 0;
	GENL_SET_ERR_MSG(info, "only CAP_SYS_ADMIN may change devices");
	return -EPERM;
}

static int vs_genl_get(struct sk_buff *skb, struct genl_info *info)
{
	struct vs_device *device;
	int ret;

	mutex_lock(&vs_devices_lock);
	device = vs_genl_device(info, &ret);
	if (device)
		ret = vs_genl_reply_device(info, VRAMSWAP_CMD_GET, device);
	mutex_unlock(&vs_devices_lock);
	return ret;
}

static int vs_genl_dump_one(struct sk_buff *skb, struct netlink_callback *cb,
			    struct vs_device *device)
{
	void *header = genlmsg_put(skb, NETLINK_CB(cb->skb).portid, cb->nlh->nlmsg_seq,
				   &vs_genl_family, NLM_F_MULTI, VRAMSWAP_CMD_GET);
	int ret;

	if (!header)
		return -EMSGSIZE;
	mutex_lock(&device->lock);
	ret = vs_fault(VS_FAULT_dump_full) ? -EMSGSIZE : vs_genl_put_device(skb, device);
	mutex_unlock(&device->lock);
	if (ret)
		genlmsg_cancel(skb, header);
	else
		genlmsg_end(skb, header);
	return ret;
}

/* cb->args[0]: the next device's number. */
static int vs_genl_get_dump(struct sk_buff *skb, struct netlink_callback *cb)
{
	int ret = 0;

	mutex_lock(&vs_devices_lock);
	for (; cb->args[0] < VS_MAX_DEVICES; cb->args[0]++) {
		struct vs_device *device = vs_registry_find(cb->args[0]);

		if (!device)
			continue;
		ret = vs_genl_dump_one(skb, cb, device);
		if (ret)
			break;
	}
	mutex_unlock(&vs_devices_lock);
	/* A full message is no error if it holds anything: the dump goes on with the next. */
	return skb->len ?: ret;
}

static void vs_genl_take_u32(struct genl_info *info, int attr, unsigned int *value)
{
	if (info->attrs[attr])
		*value = nla_get_u32(info->attrs[attr]);
}

static int vs_genl_add(struct sk_buff *skb, struct genl_info *info)
{
	struct vs_shape shape = *vs_default_shape();
	const char *why = NULL;
	int index = -1;
	int ret = vs_genl_check_admin(skb, info);

	if (ret)
		return ret;
	if (info->attrs[VRAMSWAP_A_INDEX])
		index = nla_get_u32(info->attrs[VRAMSWAP_A_INDEX]);
	vs_genl_take_u32(info, VRAMSWAP_A_QUEUES, &shape.queues);
	vs_genl_take_u32(info, VRAMSWAP_A_SLOTS, &shape.slots);
	vs_genl_take_u32(info, VRAMSWAP_A_SLOT_SIZE, &shape.slot_size);

	mutex_lock(&vs_devices_lock);
	ret = vs_registry_add(index, &shape, &why);
	if (ret >= 0) {
		index = ret;
		ret = vs_genl_reply_device(info, VRAMSWAP_CMD_ADD, vs_registry_find(index));
		/* The caller is told that it failed; so it did, unless someone uses the device. */
		if (ret)
			vs_registry_del(index);
	}
	mutex_unlock(&vs_devices_lock);
	if (why && info->extack)
		info->extack->_msg = why;
	return ret;
}

static int vs_genl_del(struct sk_buff *skb, struct genl_info *info)
{
	struct vs_device *device;
	int ret = vs_genl_check_admin(skb, info);

	if (ret)
		return ret;
	mutex_lock(&vs_devices_lock);
	device = vs_genl_device(info, &ret);
	if (device) {
		ret = vs_registry_del(device->index);
		if (ret == -EBUSY)
			GENL_SET_ERR_MSG(info,
					 "in use: stop its users (swapoff) and its helper first");
	}
	mutex_unlock(&vs_devices_lock);
	return ret;
}

/* A timeout's attribute, checked; NULL if it is absent. *ret is set if it is out of range. */
static const u32 *vs_genl_timeout(struct genl_info *info, int attr, u32 least, u32 *value, int *ret)
{
	if (!info->attrs[attr])
		return NULL;
	*value = nla_get_u32(info->attrs[attr]);
	if (*value < least || *value > VS_MAX_TIMEOUT_MS) {
		NL_SET_ERR_MSG_ATTR(info->extack, info->attrs[attr],
				    "out of range: at most a day, and an I/O timeout at least a second");
		*ret = -ERANGE;
	}
	return value;
}

static int vs_genl_set(struct sk_buff *skb, struct genl_info *info)
{
	const u32 *hold, *io;
	u32 hold_ms, io_ms;
	struct vs_device *device;
	int ret = vs_genl_check_admin(skb, info);

	if (ret)
		return ret;
	hold = vs_genl_timeout(info, VRAMSWAP_A_HOLD_TIMEOUT_MS, 0, &hold_ms, &ret);
	io = vs_genl_timeout(info, VRAMSWAP_A_IO_TIMEOUT_MS, VS_MIN_IO_TIMEOUT_MS, &io_ms, &ret);
	if (ret)
		return ret;
	if (!hold && !io) {
		GENL_SET_ERR_MSG(info, "nothing to set: give a hold timeout or an I/O timeout");
		return -EINVAL;
	}
	mutex_lock(&vs_devices_lock);
	device = vs_genl_device(info, &ret);
	if (device) {
		vs_device_set_timeouts(device, hold, io);
		ret = 0;
	}
	mutex_unlock(&vs_devices_lock);
	return ret;
}

static int vs_genl_reply_queue(struct genl_info *info, struct vs_queue *queue)
{
	struct sk_buff *skb = vs_genl_new(VS_FAULT_reply, VS_GFP);
	void *header;

	if (!skb)
		return -ENOMEM;
	header = genlmsg_put_reply(skb, info, &vs_genl_family, 0, VRAMSWAP_CMD_STATS);
	if (!header || vs_fault(VS_FAULT_reply_full) ||
	    nla_put_u32(skb, VRAMSWAP_A_INDEX, queue->device->index) ||
	    vs_genl_put_queue(skb, queue)) {
		nlmsg_free(skb);
		return -EMSGSIZE;
	}
	genlmsg_end(skb, header);
	return genlmsg_reply(skb, info);
}

static struct vs_queue *vs_genl_queue(struct vs_device *device, u32 queue)
{
	return &device->queues[array_index_nospec(queue, device->queue_count)];
}

static int vs_genl_stats(struct sk_buff *skb, struct genl_info *info)
{
	struct vs_device *device;
	u32 queue = 0;
	int ret;

	vs_genl_take_u32(info, VRAMSWAP_A_QUEUE, &queue);
	mutex_lock(&vs_devices_lock);
	device = vs_genl_device(info, &ret);
	if (device && queue >= device->queue_count)
		ret = -ENOENT;
	else if (device)
		ret = vs_genl_reply_queue(info, vs_genl_queue(device, queue));
	mutex_unlock(&vs_devices_lock);
	return ret;
}

static const struct genl_ops vs_genl_ops[] = {
	{
		.cmd = VRAMSWAP_CMD_ADD,
		.doit = vs_genl_add,
		.policy = vs_genl_add_policy,
		.maxattr = ARRAY_SIZE(vs_genl_add_policy) - 1,
	},
	{
		.cmd = VRAMSWAP_CMD_DEL,
		.doit = vs_genl_del,
		.policy = vs_genl_index_policy,
		.maxattr = ARRAY_SIZE(vs_genl_index_policy) - 1,
	},
	{
		.cmd = VRAMSWAP_CMD_SET,
		.doit = vs_genl_set,
		.policy = vs_genl_set_policy,
		.maxattr = ARRAY_SIZE(vs_genl_set_policy) - 1,
	},
	{
		.cmd = VRAMSWAP_CMD_STATS,
		.doit = vs_genl_stats,
		.policy = vs_genl_stats_policy,
		.maxattr = ARRAY_SIZE(vs_genl_stats_policy) - 1,
	},
	{
		.cmd = VRAMSWAP_CMD_GET,
		.doit = vs_genl_get,
		.dumpit = vs_genl_get_dump,
		.policy = vs_genl_index_policy,
		.maxattr = ARRAY_SIZE(vs_genl_index_policy) - 1,
	},
};

static const struct genl_multicast_group vs_genl_groups[] = {
	{ .name = VRAMSWAP_GENL_MCGRP_EVENTS },
};

static struct genl_family vs_genl_family __ro_after_init = {
	.name = VRAMSWAP_GENL_NAME,
	.version = VRAMSWAP_GENL_VERSION,
	.maxattr = VRAMSWAP_A_MAX,
	.module = THIS_MODULE,
	.ops = vs_genl_ops,
	.n_ops = ARRAY_SIZE(vs_genl_ops),
	.mcgrps = vs_genl_groups,
	.n_mcgrps = ARRAY_SIZE(vs_genl_groups),
};

/*
 * Tells whoever listens. device->lock held. An event that finds no memory is lost: listeners can
 * always ask.
 */
void vs_genl_event(struct vs_device *device, enum vramswap_event event)
{
	struct sk_buff *skb = vs_genl_new(VS_FAULT_event, GFP_NOWAIT | __GFP_NOWARN);
	void *header;

	if (!skb)
		return;
	header = genlmsg_put(skb, 0, 0, &vs_genl_family, 0, VRAMSWAP_CMD_EVENT);
	if (!header || vs_fault(VS_FAULT_event_full) ||
	    nla_put_u32(skb, VRAMSWAP_A_EVENT, event) ||
	    vs_genl_put_device(skb, device)) {
		nlmsg_free(skb);
		return;
	}
	genlmsg_end(skb, header);
	genlmsg_multicast(&vs_genl_family, skb, 0, 0, GFP_NOWAIT | __GFP_NOWARN);
}

int vs_genl_register(void)
{
	return vs_fault(VS_FAULT_genl) ? -ENOMEM : genl_register_family(&vs_genl_family);
}

void vs_genl_unregister(void)
{
	genl_unregister_family(&vs_genl_family);
}
