// SPDX-License-Identifier: MIT
#include "catch.hpp"

#include "json.hpp"

#include <cerrno>
#include <vector>

using namespace vramswap;
using namespace vramswap::ctl;

namespace {

DeviceInfo sample_device() {
    DeviceInfo device;
    device.name = "vramswap7";
    device.index = 7;
    device.state = VRAMSWAP_STATE_LIVE;
    device.capacity = 1ULL << 40;
    device.cookie = 0xABCDEF0123456789;
    device.label = "card \xFF\n";
    return device;
}

} // namespace

TEST_CASE("an object is one line, whatever the label holds") {
    const std::string line = json_line(json_device(sample_device()));
    REQUIRE(line.find('\n') == line.size() - 1);
    REQUIRE(Json::parse(line)["size"] == 1ULL << 40);
}

TEST_CASE("what is not there is null") {
    DeviceInfo device = sample_device();
    Json json = json_status(device, {}, std::nullopt);
    REQUIRE(json["helper_pid"].is_null());
    REQUIRE(json["swap"].is_null());
    REQUIRE(json["p50_ns"].is_null());
    REQUIRE(json["cookie"] == "0xabcdef0123456789"); // a string: readers of JSON lose digits of large numbers
    REQUIRE(json["gpu"] == device.label);
    device.label = "host memory (memfd)";
    REQUIRE(json_status(device, {}, std::nullopt)["gpu"].is_null());
    device.cookie = 0;
    REQUIRE(json_device(device)["cookie"].is_null());
}

TEST_CASE("swap use is part of the status") {
    const Json json = json_status(sample_device(), {}, SwapArea{"/dev/vramswap7", 8192, 4096, 100});
    REQUIRE(json["swap"]["used"] == 4096);
    REQUIRE(json["swap"]["priority"] == 100);
    REQUIRE(!json.contains("out_bytes_per_second")); // that takes a second look, which was not asked for
    Rates rates;
    rates.out.bytes_per_second = 4096;
    const Json with_rates = json_status(sample_device(), {}, {}, rates);
    REQUIRE(with_rates["out_bytes_per_second"] == 4096);
    REQUIRE(with_rates["in_bytes_per_second"] == 0);
}

TEST_CASE("statistics have all operations and, if asked, each queue") {
    QueueStats queue;
    queue.enters = 5;
    queue.ops[VRAMSWAP_STAT_READ].requests = 3;
    queue.ops[VRAMSWAP_STAT_READ].latency[10] = 3;
    const std::vector<QueueStats> queues(2, queue);
    const Json total = json_stats(sample_device(), queues, false);
    REQUIRE(total["enters"] == 10);
    REQUIRE(total["operations"]["read"]["requests"] == 6);
    REQUIRE(total["operations"]["read"]["p50_ns"] == 1536);
    REQUIRE(total["operations"]["read"]["latency_log2_ns"].size() == VRAMSWAP_LATENCY_BUCKETS);
    REQUIRE(total["operations"]["discard"]["mean_ns"].is_null());
    REQUIRE(!total.contains("queues"));
    const Json each = json_stats(sample_device(), queues, true);
    REQUIRE(each["queues"].size() == 2);
    REQUIRE(each["queues"][1]["operations"]["read"]["requests"] == 3);
}

TEST_CASE("an event names its reason as the errno is called") {
    Event event{.kind = VRAMSWAP_EVENT_HELD, .device = sample_device()};
    event.device.reason = ETIMEDOUT;
    const Json json = json_event(event, "now");
    REQUIRE(json["event"] == "held");
    REQUIRE(json["device"]["reason"] == "ETIMEDOUT");
    REQUIRE(json["device"]["index"] == 7);
    event.device.reason = 0;
    REQUIRE(json_event(event, "now")["device"]["reason"].is_null());
}
