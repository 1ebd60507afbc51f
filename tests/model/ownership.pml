/* SPDX-License-Identifier: MIT */
/*
 * Who owns a slot, over requests, sessions and lies: each request ends once, and none by an honest answer to another.
 * kmod/ring.h (publish, claim, revoke), queue.c (hold, replay), reap.c (reap lock), device.c (part, join).
 *
 * One slot, for slots do not touch each other. A submitter sends requests through it as the block layer uses a tag: the
 * next one only when the last has ended. Helpers answer what they are asked, and may put an answer of any generation
 * into their ring. Sessions end at any moment, and another takes their place, while threads of the old ones go on.
 *
 * mutants: WITHOUT_GENERATION WITHOUT_BIT WITHOUT_CHANNEL WITHOUT_QUIESCE
 */
#define REQUESTS 3
#define SESSIONS 2
#define GENERATIONS 8 /* more than there are trips: a wrap is 2^31 trips away */
#define NOBODY 255

byte generation; /* the slot's owner word, with the bit below */
bool with_helper;

byte request;             /* in the slot; 0: none */
bool taken_twice;         /* a claim found no request */
byte sent;                /* the last request that was submitted */
byte ended[REQUESTS + 1]; /* how often */

byte channel = NOBODY; /* the session that the queue is joined to */
bool over[SESSIONS];   /* the session has ended */
bool gate_send, quiesced, reap_lock;
byte in_queue_rq;

chan sq[SESSIONS] = [3] of { byte, byte }; /* SQE: generation, and what only we know: the request */
chan cq[SESSIONS] = [3] of { byte, byte }; /* CQE: the same; a lie has request 0 */

/* (K), then SQE and tail. A guess may be claimed in between. */
inline publish()
{
	d_step {
		generation = (generation + 1) % GENERATIONS;
		with_helper = true
	}
	sq[channel] ! generation, request
}

active proctype submitter()
{
	do
	:: sent < REQUESTS ->
end:		atomic {
			!quiesced && (sent == 0 || ended[sent] > 0) -> in_queue_rq++;
			sent++
		}
		request = sent;
		if
		:: gate_send -> publish()
		:: else /* held */
		fi;
		in_queue_rq--
	:: sent == REQUESTS -> break
	od
}

/* (6), under the reap lock: believes a CQE, or ends the session. */
inline claim(me, g, truth, done)
{
	atomic {
		done = 0;
		if
#ifdef WITHOUT_GENERATION
		:: with_helper ->
#else
#ifdef WITHOUT_BIT
		:: generation == g ->
#else
		:: with_helper && generation == g -> /* (L) */
#endif
#endif
			with_helper = false;
			taken_twice = taken_twice || request == 0;
			done = request;
			request = 0;
			assert(channel == me); /* a session that has ended ends no request */
			assert(truth == 0 || truth == done) /* an honest answer is to this request */
		:: else -> over[me] = true
		fi
	}
}

proctype helper(byte me)
{
	byte g, truth, done;
	bool lied;

end:
	do
	:: !over[me] && len(cq[me]) < 3 && sq[me] ? [g, truth] ->
		sq[me] ? g, truth;
		cq[me] ! g, truth
	:: !over[me] && !lied && len(cq[me]) < 3 ->
		lied = true;
		select (g : 0 .. 4);
		cq[me] ! g, 0
	:: len(cq[me]) > 0 -> /* ENTER, perhaps of a session that has ended meanwhile */
		atomic {
			!reap_lock -> reap_lock = true
		}
		done = 0;
#ifdef WITHOUT_CHANNEL
		if
		:: true ->
#else
		if
		:: channel != me -> cq[me] ? g, truth
		:: else ->
#endif
			cq[me] ? g, truth;
			claim(me, g, truth, done)
		fi;
		reap_lock = false;
		if
		:: done > 0 -> ended[done]++ /* no lock held */
		:: else
		fi
	od
}

/* The device: joins sessions, parts from them at any moment, and holds what is in the slot. */
active proctype device()
{
	byte s;

	do
	:: s < SESSIONS ->
		/* vs_device_join */
		quiesced = true;
#ifndef WITHOUT_QUIESCE
		in_queue_rq == 0;
#endif
		channel = s;
		if
		:: request > 0 -> publish() /* replay */
		:: else
		fi;
		gate_send = true;
		quiesced = false;
		run helper(s);
		/* The last one is honest to the end, so that all requests must have theirs. */
		if
		:: s < SESSIONS - 1 ->
			over[s] = true;
			/* vs_device_part */
			gate_send = false;
			quiesced = true;
#ifndef WITHOUT_QUIESCE
			in_queue_rq == 0;
#endif
			atomic {
				!reap_lock -> reap_lock = true
			}
			channel = NOBODY;
			with_helper = false; /* revoke */
			reap_lock = false;
			quiesced = false
		:: else
		fi;
		s++
	:: s == SESSIONS -> break
	od
}

/* When nothing can happen any more: every request that was sent has ended once, unless the last session was broken. */
active proctype judge()
{
	timeout ->
		assert(!taken_twice);
		assert(ended[1] <= 1 && ended[2] <= 1 && ended[3] <= 1);
		assert(over[SESSIONS - 1] || (ended[1] == 1 && ended[2] == 1 && ended[3] == 1))
}
