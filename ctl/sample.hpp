// SPDX-License-Identifier: MIT
// One look at devices: what they are, what they have done, what swap makes of them.
#pragma once

#include "control.hpp"
#include "error.hpp"
#include "parse.hpp"
#include "rates.hpp"

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

namespace vramswap::ctl {

struct Sample {
    DeviceInfo device;
    std::vector<QueueStats> queues;
    QueueStats total; ///< of all queues
    std::optional<SwapArea> swap;
    std::chrono::steady_clock::time_point when;
};

/// By the devices' numbers.
using Samples = std::map<std::uint32_t, Sample>;

/// Looks at one device, or at all there are.
Result<Samples> look(Control& control, std::optional<std::uint32_t> device);

/// What `now` has done since `before`, which is the same device's, and earlier.
Rates rates_since(const Sample& now, const Sample& before);

} // namespace vramswap::ctl
