// SPDX-License-Identifier: MIT
#pragma once

#include "shared.hpp"

namespace fuzz {

/// How a hostile helper is to live.
struct HostileLife {
    unsigned device = 0;
    std::uint64_t seed = 0;
    std::uint64_t operations = 0; ///< in all of its threads together; then it ends, in one way or another
    unsigned threads = 1;
    bool scrambles = false;   ///< its threads attach, start, map and stop all at once; nothing is served
    std::uint64_t truths = 1; ///< sound acts, on average, for one that may end the session
};

/// One hostile helper: attaches, mostly, goes live, mostly, and then does whatever its dice say to the control device
/// and the memory that it shares with the kernel, in several threads. May end by a signal. It answers reads with words
/// of its own epoch and puts no others into staging, so that a witness can tell them from any that leak.
void live_hostile(const HostileLife& life, Counts& counts);

} // namespace fuzz
