// SPDX-License-Identifier: MIT
#include "catch.hpp"

#include "metrics.hpp"

#include <map>
#include <set>
#include <sstream>
#include <string>

using namespace vramswap;
using namespace vramswap::ctl;

namespace {

Sample sample() {
    Sample one;
    one.device = {.index = 0,
                  .name = "vramswap0",
                  .state = VRAMSWAP_STATE_LIVE,
                  .capacity = 1ULL << 32,
                  .used = 8192,
                  .queues = 2,
                  .hold_timeout_ms = 120000,
                  .label = "GPU \"big\\one\"\n(0000:01:00.0)"};
    one.swap = SwapArea{.path = "/dev/vramswap0", .size = (1ULL << 32) - 4096, .used = 4096, .priority = 100};
    OpStats& reads = one.total.ops[VRAMSWAP_STAT_READ];
    reads = {.requests = 7, .bytes = 28672, .errors = 1, .latency_ns = 2500000};
    reads.latency[5] = 1;  // below 64 ns
    reads.latency[13] = 4; // 8 to 16 us
    reads.latency[39] = 2; // for minutes
    one.total.doorbells = 3;
    return one;
}

bool has_line(const std::string& text, const std::string& line) {
    return text.find("\n" + line + "\n") != std::string::npos;
}

} // namespace

TEST_CASE("metrics are what Prometheus reads") {
    const std::string text = metrics_text({{0, sample()}});
    INFO(text);
    REQUIRE(has_line(
        text,
        R"x(vramswap_device_info{device="vramswap0",engine="cuda",store="GPU \"big\\one\"\n(0000:01:00.0)"} 1)x"));
    REQUIRE(has_line(text, R"(vramswap_state{device="vramswap0",state="live"} 1)"));
    REQUIRE(has_line(text, R"(vramswap_state{device="vramswap0",state="held"} 0)"));
    REQUIRE(has_line(text, R"(vramswap_size_bytes{device="vramswap0"} 4294967296)"));
    REQUIRE(has_line(text, R"(vramswap_swap_used_bytes{device="vramswap0"} 4096)"));
    REQUIRE(has_line(text, R"(vramswap_swap_priority{device="vramswap0"} 100)"));
    REQUIRE(has_line(text, R"(vramswap_hold_timeout_seconds{device="vramswap0"} 120)"));
    REQUIRE(has_line(text, R"(vramswap_doorbells_total{device="vramswap0"} 3)"));
    REQUIRE(has_line(text, R"(vramswap_requests_total{device="vramswap0",operation="read"} 7)"));
    REQUIRE(has_line(text, R"(vramswap_request_errors_total{device="vramswap0",operation="read"} 1)"));
}

TEST_CASE("the histogram's buckets add up") {
    const std::string text = metrics_text({{0, sample()}});
    const std::string name = R"(vramswap_request_duration_seconds_bucket{device="vramswap0",operation="read",le=")";
    REQUIRE(has_line(text, name + R"(1.024e-06"} 1)"));
    REQUIRE(has_line(text, name + R"(8.192e-06"} 1)"));
    REQUIRE(has_line(text, name + R"(1.6384e-05"} 5)"));
    REQUIRE(has_line(text, name + R"(17.1798692"} 5)"));
    REQUIRE(has_line(text, name + R"(+Inf"} 7)"));
    REQUIRE(has_line(text, R"(vramswap_request_duration_seconds_count{device="vramswap0",operation="read"} 7)"));
    REQUIRE(has_line(
        text, R"(vramswap_request_duration_seconds_sum{device="vramswap0",operation="read"} 0.0025000000000000001)"));
}

TEST_CASE("each metric has its HELP and TYPE once, before its lines, and no line stands twice") {
    Sample other = sample();
    other.device.index = 1;
    other.device.name = "vramswap1";
    other.swap.reset();
    const std::string text = metrics_text({{0, sample()}, {1, other}});
    std::map<std::string, std::string> types;
    std::set<std::string> seen;
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
        INFO(line);
        std::istringstream words(line);
        std::string first;
        std::string kind;
        std::string name;
        words >> first;
        if (first == "#") {
            words >> kind >> name;
            REQUIRE(name.starts_with("vramswap_"));
            if (kind == "TYPE")
                REQUIRE(types.emplace(name, "").second);
            continue;
        }
        const std::string series = line.substr(0, line.rfind(' '));
        REQUIRE(seen.insert(series).second);
        std::string metric = first.substr(0, first.find('{'));
        for (const char* const ending : {"_bucket", "_sum", "_count"})
            if (metric.starts_with("vramswap_request_duration_seconds") && metric.ends_with(ending))
                metric.erase(metric.rfind(ending));
        REQUIRE(types.contains(metric));
    }
    REQUIRE(text.find("vramswap_swap_used_bytes{device=\"vramswap1\"}") == std::string::npos);
}

TEST_CASE("without devices there is still something to alert on") {
    REQUIRE(has_line(metrics_text({}), "vramswap_module_loaded 1"));
}
