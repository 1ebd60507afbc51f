// SPDX-License-Identifier: MIT
// Probes that kill: vramswapd_mortal looks at VRAMSWAP_DIE_AT=PROBE:PASS[:SIGNAL], and ends itself with that signal
// (9 by default; 0: with _exit(3)) when it passes that probe for the so-manieth time. It does so once for each name
// given in VRAMSWAP_DIE_MARK, a file that it makes before it dies and that keeps its successors alive.
#pragma once

#include <atomic>
#include <charconv>
#include <csignal>
#include <cstdlib>
#include <string_view>

#include <fcntl.h>
#include <unistd.h>

namespace vramswap::mortal {

/// What VRAMSWAP_DIE_AT says; read once, before the helper goes live.
struct Fate {
    std::string_view probe;
    unsigned long pass = 0;
    int signal = SIGKILL;
    const char* mark = nullptr;

    Fate() {
        const char* const text = std::getenv("VRAMSWAP_DIE_AT");
        mark = std::getenv("VRAMSWAP_DIE_MARK");
        if (text == nullptr)
            return;
        const std::string_view all(text);
        const std::size_t colon = all.find(':');
        if (colon == std::string_view::npos)
            return;
        const char* const end = all.data() + all.size();
        const auto parsed = std::from_chars(all.data() + colon + 1, end, pass);
        if (parsed.ptr != end)
            (void)std::from_chars(parsed.ptr + 1, end, signal);
        probe = all.substr(0, colon);
    }
};

inline const Fate fate;
inline std::atomic<unsigned long> passes{0};

inline void at(std::string_view probe) noexcept {
    if (probe != fate.probe || ++passes != fate.pass)
        return;
    if (fate.mark != nullptr) {
        const int mark = ::open(fate.mark, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
        if (mark < 0)
            return; // a predecessor, perhaps of the same keeper, has died for it
        (void)::close(mark);
    }
    if (fate.signal == 0)
        ::_exit(3);
    (void)::signal(fate.signal, SIG_DFL);
    (void)::kill(::getpid(), fate.signal);
    for (;;)
        (void)::pause();
}

} // namespace vramswap::mortal

// A macro because it takes the place of one.
// NOLINTNEXTLINE(cppcoreguidelines-macro-usage)
#define VRAMSWAP_PROBE(name, queue, slot, generation)                                                                  \
    do {                                                                                                               \
        (void)(queue);                                                                                                 \
        (void)(slot);                                                                                                  \
        (void)(generation);                                                                                            \
        ::vramswap::mortal::at(#name);                                                                                 \
    } while (false)
