// SPDX-License-Identifier: MIT
// What users and /proc write, as values. Pure.
#pragma once

#include "error.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vramswap::ctl {

/// "0", "vramswap0" or "/dev/vramswap0" → 0.
Result<std::uint32_t> parse_device(std::string_view text);

/// Bytes, in binary units where K or M follows: "4096", "128K".
Result<std::uint32_t> parse_size(std::string_view text);

/// Seconds, decimals allowed, to the nearest millisecond and as much as the kernel takes (a day).
Result<std::uint32_t> parse_timeout_ms(std::string_view text);

/// Seconds between two reports, decimals allowed: a tenth of a second to a day.
Result<std::chrono::milliseconds> parse_interval(std::string_view text);

/// One line of /proc/swaps. Sizes in bytes.
struct SwapArea {
    std::string path;
    std::uint64_t size = 0;
    std::uint64_t used = 0;
    int priority = 0;
};

/// The text of /proc/swaps; lines that it does not understand are passed over.
std::vector<SwapArea> parse_swaps(std::string_view text);

/// Of /proc/meminfo, bytes.
struct MemoryInfo {
    std::uint64_t total = 0;
    std::uint64_t available = 0;
};

/// The text of /proc/meminfo; what it does not say is 0.
MemoryInfo parse_meminfo(std::string_view text);

/// The entry of device vramswapN, if it is swapped on.
std::optional<SwapArea> find_swap(const std::vector<SwapArea>& areas, std::uint32_t index);

} // namespace vramswap::ctl
