/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Named faults: every branch of the module that can fail, made to fail on request.
 *
 * Only in modules built with `make VRAMSWAP_FAULTS=y`; in all others vs_fault() is false and costs
 * nothing. The parameter "faults" arms them, at load or later:
 *
 *	echo add_disk=1 > /sys/module/vramswap/parameters/faults	the next pass
 *	echo area_page=1+5,genl=1 > ...					the sixth pass; the next
 *
 * and, read, tells for each how often it was passed and how often it struck.
 */
#ifndef VRAMSWAP_FAULT_H
#define VRAMSWAP_FAULT_H

#include <linux/types.h>

struct vs_session;

#define VS_FAULT(name) VS_FAULT_##name,
enum vs_fault {
#include "fault_names.h"
	VS_FAULT_COUNT
};

#undef VS_FAULT

#ifdef VRAMSWAP_FAULTS

/* Counts a pass, and says whether the fault strikes now. Any context. */
bool vs_fault(enum vs_fault fault);
/* As vs_fault, and then does nothing for a moment, awake. */
void vs_fault_delay(enum vs_fault fault);
/* As vs_fault, and then kills the helper. NULL: there is none. */
void vs_fault_kill(enum vs_fault fault, const struct vs_session *session);

#else

static inline bool vs_fault(enum vs_fault fault)
{
	return false;
}

static inline void vs_fault_delay(enum vs_fault fault)
{
}

static inline void vs_fault_kill(enum vs_fault fault, const struct vs_session *session)
{
}

#endif

#endif
