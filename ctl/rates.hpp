// SPDX-License-Identifier: MIT
// What a device did between two looks at its counters. Pure.
#pragma once

#include "control.hpp"

#include <optional>
#include <string>

namespace vramswap::ctl {

/// One direction. Latencies are those of this interval's requests alone.
struct Flow {
    double pages_per_second = 0; ///< of VRAMSWAP_BLOCK_SIZE
    double bytes_per_second = 0;
    std::optional<double> p50_ns;
    std::optional<double> p99_ns;
};

struct Rates {
    double seconds = 0;
    Flow out; ///< writes: swapped out
    Flow in;  // reads: swapped in
    std::uint64_t errors = 0;
};

/// `now` and `before` are queue_total()s of one device, `seconds` (more than 0) apart.
Rates rates_between(const QueueStats& now, const QueueStats& before, double seconds);

/// The two heading lines and a line of figures with `in_use` bytes at its end: 79 columns, or more where a device's
/// name goes before them.
std::string rates_heading(bool with_name);
std::string rates_line(const Rates& rates, const DeviceInfo& device, std::uint64_t in_use, const std::string& clock,
                       bool with_name);

} // namespace vramswap::ctl
