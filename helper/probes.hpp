// SPDX-License-Identifier: MIT
// USDT probes, a no-op instruction each until someone attaches: `bpftrace -e 'usdt:/usr/sbin/vramswapd:vramswap:*'`.
// Every probe has the arguments queue, slot, generation.
#pragma once

#ifdef VRAMSWAP_PROBES_HEADER // tests put something else there
#include VRAMSWAP_PROBES_HEADER
#elif __has_include(<sys/sdt.h>)
#include <sys/sdt.h>
// A macro because each probe must be placed in the function that it watches.
// NOLINTNEXTLINE(cppcoreguidelines-macro-usage)
#define VRAMSWAP_PROBE(name, queue, slot, generation) DTRACE_PROBE3(vramswap, name, queue, slot, generation)
#else
// NOLINTNEXTLINE(cppcoreguidelines-macro-usage)
#define VRAMSWAP_PROBE(name, queue, slot, generation)                                                                  \
    do {                                                                                                               \
        (void)(queue);                                                                                                 \
        (void)(slot);                                                                                                  \
        (void)(generation);                                                                                            \
    } while (false)
#endif
