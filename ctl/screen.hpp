// SPDX-License-Identifier: MIT
// What vramswapctl top shows. Pure.
#pragma once

#include "parse.hpp"
#include "sample.hpp"

#include <cstddef>
#include <string>
#include <vector>

namespace vramswap::ctl {

/// All that the screen tells.
struct View {
    std::string clock;
    Samples now;
    Samples before; ///< empty at first: then there are no rates yet
    MemoryInfo memory;
    std::vector<SwapArea> swaps;
    std::string pressure; ///< the text of /proc/pressure/memory; empty where the kernel does not tell
};

/// Lines of `width` columns at most, as many as they are.
std::string screen_text(const View& view, std::size_t width);

/// From the text of /proc/pressure/memory: the percentage of the last ten seconds in which some process waited for
/// memory, as it is written there; empty for a text that does not say.
std::string stalled(const std::string& pressure);

} // namespace vramswap::ctl
