// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "load.hpp"
#include "setting.hpp"

namespace vramswap::bench {

/// A load of ours, and a process that computes on the same GPU: each alone, and both together.
struct Beside {
    std::string engine;
    std::string neighbour; ///< what it does
    std::string what;
    Mix mix = Mix::read;
    std::uint32_t length = 4096;
    unsigned depth = 1;     ///< of all queues together
    double turns_alone = 0; ///< the neighbour's, per second, before we have a context
    double turns_idle = 0;  ///< while our session is there and has nothing to do
    double turns_loaded = 0;
    double ours_alone = 0; ///< requests per second
    double ours_beside = 0;
    std::uint64_t p99_alone_ns = 0;
    std::uint64_t p99_beside_ns = 0;
    bool right = true; ///< every byte, and no request failed
};

/// Errors as the engine's own, or as what the neighbour says.
[[nodiscard]] Result<std::vector<Beside>> measure_beside(const Setting& setting);

} // namespace vramswap::bench
