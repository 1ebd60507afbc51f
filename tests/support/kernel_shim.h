/* SPDX-License-Identifier: MIT */
/*
 * The kernel's primitives that kmod/ring.h uses, for user space, in C and in C++.
 *
 * They are made of the compiler's __atomic builtins, so that ThreadSanitizer sees every access and every edge. Each is
 * as strong as the kernel's own primitive or weaker, never stronger, or a missing barrier would hide here:
 *
 *  READ_ONCE, WRITE_ONCE  relaxed
 *   smp_load_acquire       acquire
 *   smp_store_release      release
 *   cmpxchg, xchg          sequentially consistent. The kernel's are fully ordered, that is, also against plain
 * accesses before and after; C11 promises a little less. smp_mb                 a sequentially consistent fence
 *
 * What a run on x86-64 proves. The processor reorders a store with a later load, nothing else. So only the full
 * barriers of ring.h, (F), (G), (N), and the helper's (P), do anything there, and a stress run tests them for real:
 * smp_mb is a locked instruction on the stack here as in the kernel. (Under ThreadSanitizer too, by a call to its
 * run-time library; but that library's own locked instructions stand between all accesses, so a missing one shows only
 * in a build without it.) The acquires and releases cost no instruction there; that they are where they must be is
 * shown by ThreadSanitizer, which goes by the language's rules and reports a race whichever way the processor went. It
 * knows no edges of fences, hence gcc's warning -Wtsan; nothing is lost, since these order flags and counters and
 * publish no data. (A sequentially consistent exchange of a shared dummy word, the usual stand-in, would be worse: it
 * draws edges between all its users, and these hide a missing release at (A).)
 *
 * What it does not prove: that they are in the right place on a processor that reorders more than x86.
 */
#ifndef VRAMSWAP_TESTS_KERNEL_SHIM_H
#define VRAMSWAP_TESTS_KERNEL_SHIM_H

#include <errno.h>
#include <linux/types.h>
#include <stdbool.h>

/* NOLINTBEGIN(bugprone-reserved-identifier,cppcoreguidelines-macro-usage,modernize-use-using): kernel's names, in C */
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;

#define ____cacheline_aligned_in_smp __attribute__((aligned(64)))

#define READ_ONCE(x) __atomic_load_n(&(x), __ATOMIC_RELAXED)
#define WRITE_ONCE(x, value) __atomic_store_n(&(x), (value), __ATOMIC_RELAXED)
#define smp_load_acquire(p) __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define smp_store_release(p, value) __atomic_store_n((p), (value), __ATOMIC_RELEASE)
#define xchg(p, value) __atomic_exchange_n((p), (value), __ATOMIC_SEQ_CST)

static inline u32 cmpxchg(u32* p, u32 expected, u32 value) {
    __atomic_compare_exchange_n(p, &expected, value, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    return expected;
}

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wtsan"
#endif
static inline void smp_mb(void) {
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif
/* NOLINTEND(bugprone-reserved-identifier,cppcoreguidelines-macro-usage,modernize-use-using) */

#endif
