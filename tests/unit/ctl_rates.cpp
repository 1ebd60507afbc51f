// SPDX-License-Identifier: MIT
#include "catch.hpp"

#include "format.hpp"
#include "rates.hpp"

#include <sstream>

using namespace vramswap;
using namespace vramswap::ctl;

namespace {

QueueStats look(std::uint64_t written, std::uint64_t read, std::size_t bucket) {
    QueueStats stats;
    stats.ops[VRAMSWAP_STAT_WRITE] = {.requests = written, .bytes = written * 4096, .errors = 0, .latency_ns = 0};
    stats.ops[VRAMSWAP_STAT_WRITE].latency[bucket] = written;
    stats.ops[VRAMSWAP_STAT_READ] = {.requests = read, .bytes = read * 8192, .errors = 0, .latency_ns = 0};
    return stats;
}

DeviceInfo live_device() {
    DeviceInfo device;
    device.name = "vramswap0";
    device.state = VRAMSWAP_STATE_LIVE;
    return device;
}

} // namespace

TEST_CASE("rates are differences over time, out is written and in is read") {
    const Rates rates = rates_between(look(1100, 50, 12), look(100, 0, 12), 2);
    REQUIRE(rates.seconds == 2);
    REQUIRE(rates.out.pages_per_second == 500);
    REQUIRE(rates.out.bytes_per_second == 2048000);
    REQUIRE(rates.in.pages_per_second == 50);
    REQUIRE(rates.errors == 0);
}

TEST_CASE("an interval's latencies forget what was before") {
    QueueStats now = look(200, 0, 20);
    now.ops[VRAMSWAP_STAT_WRITE].latency[10] = 100000; // slow ones now, many fast ones long ago
    QueueStats before;
    before.ops[VRAMSWAP_STAT_WRITE].latency[10] = 100000;
    const Rates rates = rates_between(now, before, 1);
    REQUIRE(rates.out.p50_ns);
    REQUIRE(*rates.out.p50_ns > (1 << 20));
    REQUIRE(!rates.in.p50_ns);
}

TEST_CASE("headings and figures fit 80 columns and end together") {
    const Rates rates = rates_between(look(6000000, 6000000, 39), QueueStats{}, 1);
    const std::string line = rates_line(rates, live_device(), 3ULL << 29, "23:59:59", false);
    std::istringstream headings(rates_heading(false));
    std::string first;
    std::string second;
    std::getline(headings, first);
    std::getline(headings, second);
    REQUIRE(display_width(first) <= 80);
    REQUIRE(display_width(second) <= 80);
    REQUIRE(display_width(line) == display_width(second) + 1); // the line's end
}

TEST_CASE("a line says what figures alone would hide") {
    DeviceInfo device = live_device();
    device.state = VRAMSWAP_STATE_HELD;
    Rates rates;
    rates.errors = 3;
    const std::string line = rates_line(rates, device, 0, "23:59:59", true);
    REQUIRE(line.find("vramswap0") == 0);
    REQUIRE(line.find("held") != std::string::npos);
    REQUIRE(line.find("3 failed") != std::string::npos);
}
