// SPDX-License-Identifier: GPL-2.0-only
/* The faults' counters and the parameter that arms them. */
#include <linux/atomic.h>
#include <linux/delay.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/sched/signal.h>
#include <linux/string.h>

#include "vramswap.h"

/* Long enough for everybody else to get ahead, on an emulated CPU too. */
#define VS_FAULT_DELAY_MS 50

struct vs_fault_state {
	const char *name;
	atomic_t skip;  /* passes still to let go by */
	atomic_t times; /* strikes still to come */
	atomic_t passes;
	atomic_t strikes;
};

#define VS_FAULT(fault_name) { .name = #fault_name },
static struct vs_fault_state vs_fault_states[] = {
#include "fault_names.h"
};

#undef VS_FAULT

bool vs_fault(enum vs_fault fault)
{
	struct vs_fault_state *state = &vs_fault_states[fault];

	atomic_inc(&state->passes);
	if (!atomic_read(&state->times))
		return false;
	if (atomic_dec_if_positive(&state->skip) >= 0 || atomic_dec_if_positive(&state->times) < 0)
		return false;
	atomic_inc(&state->strikes);
	pr_info(VS_NAME ": fault %s\n", state->name);
	return true;
}

void vs_fault_delay(enum vs_fault fault)
{
	if (vs_fault(fault))
		mdelay(VS_FAULT_DELAY_MS);
}

void vs_fault_kill(enum vs_fault fault, const struct vs_session *session)
{
	if (vs_fault(fault) && session)
		kill_pid(session->pid, SIGKILL, 1);
}

static struct vs_fault_state *vs_fault_find(const char *name)
{
	int i;

	for (i = 0; i < VS_FAULT_COUNT; i++)
		if (!strcmp(vs_fault_states[i].name, name))
			return &vs_fault_states[i];
	return NULL;
}

/* NAME=TIMES or NAME=TIMES+SKIP. Changes text. */
static int vs_fault_arm(char *text)
{
	char *times = text, *name = strsep(&times, "=");
	struct vs_fault_state *state = vs_fault_find(name);
	char *skip = times;
	int n, skip_n = 0;

	if (!state || !times)
		return -EINVAL;
	strsep(&skip, "+");
	if (kstrtoint(times, 10, &n) || (skip && kstrtoint(skip, 10, &skip_n)))
		return -EINVAL;
	atomic_set(&state->times, 0);
	atomic_set(&state->skip, skip_n);
	atomic_set(&state->times, n);
	return 0;
}

static int vs_fault_set(const char *value, const struct kernel_param *param)
{
	char *copy = kstrdup(value, GFP_KERNEL), *rest = copy, *one;
	int ret = 0;

	if (!copy)
		return -ENOMEM;
	strim(copy);
	while (!ret && (one = strsep(&rest, ",")))
		ret = vs_fault_arm(one);
	kfree(copy);
	return ret;
}

/* Lines NAME PASSES STRIKES. */
static int vs_fault_get(char *buffer, const struct kernel_param *param)
{
	int i, length = 0;

	for (i = 0; i < VS_FAULT_COUNT; i++)
		length += scnprintf(buffer + length, PAGE_SIZE - length, "%s %d %d\n",
				    vs_fault_states[i].name,
				    atomic_read(&vs_fault_states[i].passes),
				    atomic_read(&vs_fault_states[i].strikes));
	return length;
}

static const struct kernel_param_ops vs_fault_ops = {
	.set = vs_fault_set,
	.get = vs_fault_get,
};

module_param_cb(faults, &vs_fault_ops, NULL, 0600);
MODULE_PARM_DESC(faults, "NAME=TIMES[+SKIP],... (fault.h)");
