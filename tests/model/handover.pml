/* SPDX-License-Identifier: MIT */
/*
 * The hand-over of kmod/ring.h: no CQE is left that the helper believes a waiting submitter to take, and he the helper.
 *
 * Submitters take turns at waiting (kmod/spin.c); each raises the flag, may take what is there, gives up at any moment,
 * lowers it, perhaps raises it again for what was not there yet, and leaves. The helper publishes, and enters unless the
 * flag is up; an ENTER that finds it up by then may leave what is there as well, as it does before it waits awake. (That
 * it takes all before it sleeps is not relied upon.) Letters are ring.h's. Stores to the CQ's tail and to the flag wait
 * in a store buffer until they are flushed, at any later moment or by a full barrier, so that a missing barrier shows.
 * mutants: WITHOUT_N WITHOUT_P WITHOUT_O
 */
#define CQES 3
#define WAITS 2 /* of each submitter */

byte tail, flag; /* memory, as all see it */
byte taken;      /* the kernel's head, under the reap lock */
bool spinning;   /* channel->spinning */
byte published;
byte submitters_done;
bool helper_done;

/* What waits in the helper's buffer, and in each submitter's. */
bool tail_waits;
byte tail_value;
bool flag_waits[2];
byte flag_value[2];

inline flush_tail()
{
	d_step {
		if
		:: tail_waits -> tail = tail_value; tail_waits = false
		:: else
		fi
	}
}

inline flush_flag(me)
{
	d_step {
		if
		:: flag_waits[me] -> flag = flag_value[me]; flag_waits[me] = false
		:: else
		fi
	}
}

/* Memory itself: makes a waiting store visible at any moment. */
active proctype memory()
{
end:
	do
	:: tail_waits -> flush_tail()
	:: flag_waits[0] -> flush_flag(0)
	:: flag_waits[1] -> flush_flag(1)
	od
}

/* vs_reap: all that is visible, under the reap lock. */
inline reap()
{
	atomic { taken = tail }
}

proctype submitter(byte me)
{
	byte n;

	do
	:: n < WAITS ->
		atomic { !spinning -> spinning = true }
again:
		skip;
		d_step { flag_value[me] = 1; flag_waits[me] = true } /* vs_handover_begin */
		if
		:: reap() /* an answer came */
		:: true   /* time is up */
		fi;
		d_step { flush_flag(me); flag_value[me] = 0; flag_waits[me] = true } /* (M) */
#ifndef WITHOUT_N
		flush_flag(me); /* (N) */
#endif
		if
		:: n + 1 < WAITS -> n++; goto again
		:: true
		fi;
#ifndef WITHOUT_O
		reap(); /* (O) */
#endif
		/* clear_bit_unlock is a release: what was stored before is seen before it */
		flush_flag(me);
		spinning = false;
		n++
	:: n == WAITS -> break
	od
	submitters_done++
}

active proctype helper()
{
	byte seen;

	do
	:: published < CQES ->
		published++;
		d_step { flush_tail(); tail_value = published; tail_waits = true } /* (C) */
#ifndef WITHOUT_P
		flush_tail(); /* (P) */
#endif
		seen = flag; /* (Q) */
		if
		:: seen == 0 ->
			if /* ENTER */
			:: flag == 1
			:: flush_tail(); reap()
			fi
		:: else
		fi
	:: published == CQES -> break
	od
	helper_done = true
}

/* It goes on spinning for more work, and does not enter by itself: by then each CQE must have been taken. */
active proctype judge()
{
	(submitters_done == 2 && helper_done && !tail_waits && !flag_waits[0] && !flag_waits[1]);
	assert(taken == CQES)
}

init {
	atomic {
		run submitter(0);
		run submitter(1)
	}
}
