// SPDX-License-Identifier: MIT
#include "catch.hpp"

#include "room.hpp"

#include <string>
#include <vector>

using namespace vramswap::ctl;

namespace {

constexpr std::uint64_t gib = 1ULL << 30;

SwapArea area(const char* path, std::uint64_t size, std::uint64_t used) {
    return {.path = path, .size = size, .used = used, .priority = 0};
}

} // namespace

TEST_CASE("whether pages fit elsewhere") {
    struct Row {
        const char* what;
        std::vector<SwapArea> areas;
        std::uint64_t available;
        bool fits;
    };
    // 50 GiB of RAM: one is the reserve.
    const std::vector<Row> rows{
        {"nothing swapped out", {area("/dev/vramswap0", 8 * gib, 0)}, 0, true},
        {"RAM takes them", {area("/dev/vramswap0", 8 * gib, 2 * gib)}, 3 * gib, true},
        {"but for the reserve", {area("/dev/vramswap0", 8 * gib, 2 * gib)}, 3 * gib - 1, false},
        {"a disk takes them", {area("/dev/vramswap0", 8 * gib, 2 * gib), area("/swapfile", 4 * gib, 2 * gib)}, 0, true},
        {"a full disk does not",
         {area("/dev/vramswap0", 8 * gib, 2 * gib), area("/swapfile", 4 * gib, 3 * gib)},
         gib,
         false},
        {"disk and RAM together",
         {area("/dev/vramswap0", 8 * gib, 2 * gib), area("/swapfile", 4 * gib, 3 * gib)},
         2 * gib,
         true},
        {"zram is RAM", {area("/dev/vramswap0", 8 * gib, 2 * gib), area("/dev/zram0", 9 * gib, 0)}, gib, false},
        {"another device does",
         {area("/dev/vramswap0", 8 * gib, 2 * gib), area("/dev/vramswap1", 9 * gib, 0)},
         0,
         true},
        {"not swapped on", {area("/swapfile", 4 * gib, 4 * gib)}, 0, true},
    };
    for (const Row& row : rows) {
        INFO(row.what);
        const Room room = room_elsewhere(row.areas, {.total = 50 * gib, .available = row.available}, 0);
        REQUIRE(room.fits() == row.fits);
    }
}

TEST_CASE("a refusal has the figures") {
    const Room room{.pages = 3 * gib, .other_swap = gib, .ram = gib / 2};
    const std::string sentence = room_sentence(room, 7);
    for (const char* const part : {"vramswap7 holds 3G", "room for 1.5G", "1G in other swap", "512M in RAM"})
        REQUIRE(sentence.find(part) != std::string::npos);
}

TEST_CASE("memory is read from the kernel's text") {
    const MemoryInfo memory = parse_meminfo("MemTotal:       32594508 kB\nMemFree:  1 kB\nMemAvailable:   20000000 kB\n"
                                            "HugePages_Total:       0\n");
    REQUIRE(memory.total == 32594508ULL * 1024);
    REQUIRE(memory.available == 20000000ULL * 1024);
    REQUIRE(parse_meminfo("").total == 0);
    REQUIRE(parse_meminfo("MemTotal:\nMemTotal: many kB\n").total == 0);
}
