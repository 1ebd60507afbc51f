/* SPDX-License-Identifier: MIT */
/*
 * The doorbell of kmod/ring.h: no wake-up is lost.
 *
 * Two submitters publish requests and ring; the helper takes them and sleeps in ENTER. Letters are ring.h's. Each
 * process's stores to tail and sleeping wait in a store buffer until they are flushed, at any later moment or by a full
 * barrier, so that a missing barrier shows. mutants: WITHOUT_F WITHOUT_G WITHOUT_J
 */
#define REQUESTS 2 /* of each submitter */
#define ALL (2 * REQUESTS)

byte tail, sleeping; /* memory, as all see it */
bool submit_lock;
bool runnable = true; /* the helper's task state: false from prepare_to_wait until woken */
byte submitters_done;
byte taken; /* the helper's head */

/* What waits in each submitter's buffer, and in the helper's. */
bool tail_waits[2];
byte tail_value[2];
bool flag_waits;
byte flag_value;

inline flush_tail(me)
{
	d_step {
		if
		:: tail_waits[me] -> tail = tail_value[me]; tail_waits[me] = false
		:: else
		fi
	}
}

inline flush_flag()
{
	d_step {
		if
		:: flag_waits -> sleeping = flag_value; flag_waits = false
		:: else
		fi
	}
}

/* Memory itself: makes a waiting store visible at any moment. */
active proctype memory()
{
end:
	do
	:: tail_waits[0] -> flush_tail(0)
	:: tail_waits[1] -> flush_tail(1)
	:: flag_waits -> flush_flag()
	od
}

/*
 * The next submitter's lock orders its store of tail after ours, but the unlock does not keep our look at the flag from
 * running ahead of our own store: only (F) does.
 */
proctype submitter(byte me)
{
	byte n, seen;

	do
	:: n < REQUESTS ->
		atomic { !submit_lock && !tail_waits[0] && !tail_waits[1] -> submit_lock = true }
		d_step { tail_value[me] = tail + 1; tail_waits[me] = true; submit_lock = false } /* (A) */
#ifndef WITHOUT_F
		!tail_waits[me]; /* (F) */
#endif
		seen = sleeping; /* (H) */
		if
		:: seen ->
			/* xchg: a full barrier, and one submitter only gets the 1 */
			atomic { seen = sleeping; sleeping = 0 }
			if
			:: seen -> runnable = true /* wake_up */
			:: else
			fi
		:: else
		fi;
		n++
	:: n == REQUESTS -> break
	od
	submitters_done++
}

active proctype helper()
{
	byte head, passed;

	do
	:: taken == ALL -> break
	:: else ->
		head = tail; /* (B) */
		if
		:: head != taken -> taken = head
		:: else ->
			/* ENTER with WAIT: vs_enter_wait */
			passed = taken;
#ifdef WITHOUT_J
			passed = tail; /* more than what it has taken */
#endif
			do
			:: true ->
				runnable = false; /* prepare_to_wait: set_current_state has a full barrier */
				flush_flag();
				d_step { flag_value = 1; flag_waits = true } /* (E) */
#ifndef WITHOUT_G
				flush_flag(); /* (G) */
#endif
				head = tail; /* (I) */
				if
				:: head != passed -> break
				:: else
				fi;
				/* schedule() */
				if
				:: runnable
				:: submitters_done == 2 && !tail_waits[0] && !tail_waits[1] && !flag_waits && !runnable ->
					assert(taken == tail) /* asleep, and nobody will wake it */
				fi
			od;
			runnable = true; /* finish_wait */
			d_step { flush_flag(); flag_value = 0; flag_waits = true } /* vs_sleep_end */
		fi
	od
}

init {
	atomic {
		run submitter(0);
		run submitter(1)
	}
}
