// SPDX-License-Identifier: MIT
// Could a device's pages go elsewhere? Pure.
#pragma once

#include "parse.hpp"

#include <cstdint>
#include <span>
#include <string>

namespace vramswap::ctl {

/// What there is for the pages of a device that is swapped off. Bytes.
struct Room {
    std::uint64_t pages = 0;      ///< to be moved
    std::uint64_t other_swap = 0; ///< free in other swap areas that do not lie in RAM themselves
    std::uint64_t ram = 0;        ///< available, but for a reserve

    [[nodiscard]] bool fits() const { return pages <= other_swap + ram; }
};

/// The room for what vramswap`index` holds, by the swap areas there are and the memory that is available. A fiftieth of
/// RAM is kept in reserve: a machine that has none left is worse off than with swap on a GPU.
[[nodiscard]] Room room_elsewhere(std::span<const SwapArea> areas, const MemoryInfo& memory, std::uint32_t index);

/// The figures, as a sentence about why they do not fit.
[[nodiscard]] std::string room_sentence(const Room& room, std::uint32_t index);

} // namespace vramswap::ctl
