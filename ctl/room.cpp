// SPDX-License-Identifier: MIT
#include "room.hpp"

#include "format.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace vramswap::ctl {

Room room_elsewhere(std::span<const SwapArea> areas, const MemoryInfo& memory, std::uint32_t index) {
    const std::uint64_t reserve = memory.total / 50;
    Room room{.ram = memory.available - std::min(memory.available, reserve)};
    for (const SwapArea& area : areas) {
        if (area.path == fmt::format("/dev/vramswap{}", index))
            room.pages = area.used;
        else if (!area.path.starts_with("/dev/zram")) // what it takes is available RAM, which is counted already
            room.other_swap += area.size - std::min(area.size, area.used);
    }
    return room;
}

std::string room_sentence(const Room& room, std::uint32_t index) {
    return fmt::format(
        "vramswap{} holds {} of swapped-out pages, and there is room for {}: {} in other swap, {} in RAM "
        "(a reserve left out); it stays swapped on. End programs, or add swap of lower priority, and try "
        "again",
        index, format_size(room.pages), format_size(room.other_swap + room.ram), format_size(room.other_swap),
        format_size(room.ram));
}

} // namespace vramswap::ctl
