// SPDX-License-Identifier: MIT
#include "catch.hpp"

#include "parse.hpp"

#include <utility>
#include <vector>

using namespace vramswap::ctl;
using namespace std::chrono_literals;

TEST_CASE("a device is a number, a name or a path") {
    const std::vector<std::pair<std::string, std::uint32_t>> cases{
        {"0", 0}, {"15", 15}, {"vramswap0", 0}, {"vramswap12", 12}, {"/dev/vramswap3", 3}, {"4294967295", 4294967295},
    };
    for (const auto& [text, index] : cases)
        REQUIRE(parse_device(text) == index);
}

TEST_CASE("what is no device is refused with all three ways to write one") {
    for (const char* text : {"", " 0", "0 ", "-1", "+1", "vramswap", "vramswapc0", "/dev/vramswapc0", "/dev/zram0",
                             "/dev/vramswap0p1", "vramswap/0", "0x1", "4294967296"}) {
        const auto device = parse_device(text);
        REQUIRE(!device);
        REQUIRE(device.error().message.find("/dev/vramswap0") != std::string::npos);
    }
}

TEST_CASE("timeouts are seconds with decimals, to the millisecond") {
    const std::vector<std::pair<std::string, std::uint32_t>> cases{
        {"0", 0}, {"0.0", 0}, {"30", 30000}, {"0.5", 500}, {"2.0004", 2000}, {"0.001", 1}, {"86400", 86400000},
    };
    for (const auto& [text, ms] : cases)
        REQUIRE(parse_timeout_ms(text) == ms);
    for (const char* text :
         {"", "x", "30s", "-1", "-0", "nan", "inf", "86401", "86400.001", "1e300", "0.0001", "1,5", " 1"})
        REQUIRE(!parse_timeout_ms(text));
}

TEST_CASE("intervals are a tenth of a second to a day") {
    REQUIRE(parse_interval("1") == 1000ms);
    REQUIRE(parse_interval("0.1") == 100ms);
    REQUIRE(parse_interval("86400") == 24h);
    for (const char* text : {"", "0", "0.05", "-1", "86401", "1s", "nan"})
        REQUIRE(!parse_interval(text));
}

TEST_CASE("sizes may end in a binary unit") {
    REQUIRE(parse_size("4096") == 4096U);
    REQUIRE(parse_size("128K") == 131072U);
    REQUIRE(parse_size("1M") == 1048576U);
    REQUIRE(parse_size("0") == 0U);
    for (const char* text : {"", "K", "1.5K", "-1", "1G", "4096M", "4194304K", "4294967296", "1 K"})
        REQUIRE(!parse_size(text));
}

TEST_CASE("swap areas are found by their device") {
    const auto areas = parse_swaps("Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"
                                   "/dev/dm-1                               partition\t8388604\t\t1024\t\t-2\n"
                                   "/swap\\040file                          file\t\t1048572\t\t0\t\t5\n"
                                   "/dev/vramswap1                          partition\t4194300\t\t2048\t\t100\n");
    REQUIRE(areas.size() == 3);
    REQUIRE(areas[0].priority == -2);
    REQUIRE(areas[1].path == "/swap file");
    const auto swap = find_swap(areas, 1);
    REQUIRE(swap);
    REQUIRE(swap->size == 4194300ULL * 1024);
    REQUIRE(swap->used == 2048ULL * 1024);
    REQUIRE(swap->priority == 100);
    REQUIRE(!find_swap(areas, 0));
    REQUIRE(!find_swap(areas, 11));
}

TEST_CASE("no swap at all is no trouble") {
    REQUIRE(parse_swaps("").empty());
    REQUIRE(parse_swaps("Filename\tType\tSize\tUsed\tPriority\n").empty());
}

TEST_CASE("a backslash that escapes nothing stays") {
    const auto areas = parse_swaps("/a\\04 file 4 0 0\n/b\\ file 4 0 0\n/c\\999 file 4 0 0\n");
    REQUIRE(areas.size() == 3);
    REQUIRE(areas[0].path == "/a\\04");
    REQUIRE(areas[1].path == "/b\\");
    REQUIRE(areas[2].path == "/c\\999");
}
