// SPDX-License-Identifier: MIT
#include "catch.hpp"

#include "bench.hpp"
#include "format.hpp"
#include "screen.hpp"
#include "status.hpp"

#include <sstream>
#include <string>

using namespace vramswap;
using namespace vramswap::ctl;

namespace {

Sample sample(std::uint64_t writes, std::chrono::seconds when) {
    Sample one;
    one.device = {.index = 0,
                  .name = "vramswap0",
                  .state = VRAMSWAP_STATE_LIVE,
                  .capacity = 6ULL << 30,
                  .used = 1ULL << 30,
                  .label = "NVIDIA RTX A2000 8GB Laptop GPU (0000:01:00.0)"};
    one.swap = SwapArea{.path = "/dev/vramswap0", .size = 6ULL << 30, .used = 3ULL << 30, .priority = 50};
    OpStats& op = one.total.ops[VRAMSWAP_STAT_WRITE];
    op = {.requests = writes, .bytes = writes << 20, .errors = 0, .latency_ns = writes * 1000};
    op.latency[13] = writes;
    one.when = std::chrono::steady_clock::time_point(when);
    return one;
}

View view() {
    return {.clock = "23:59:07",
            .now = {{0, sample(300, std::chrono::seconds(12))}},
            .before = {{0, sample(100, std::chrono::seconds(10))}},
            .memory = {.total = 16ULL << 30, .available = 3ULL << 30},
            .swaps = {{.path = "/swapfile", .size = 8ULL << 30, .used = 0, .priority = -2},
                      {.path = "/dev/vramswap0", .size = 6ULL << 30, .used = 3ULL << 30, .priority = 50}},
            .pressure =
                "some avg10=3.21 avg60=1.00 avg300=0.10 total=1\nfull avg10=0.40 avg60=0.00 avg300=0.00 total=1\n"};
}

} // namespace

TEST_CASE("the screen fits and tells the same at 80 and at 200 columns") {
    for (const std::size_t width : {80U, 200U}) {
        const std::string text = screen_text(view(), width);
        INFO(text);
        std::istringstream lines(text);
        for (std::string line; std::getline(lines, line);)
            REQUIRE(display_width(line) <= width);
        for (const char* const part : {"23:59:07", "RAM 3G of 16G", "stalled 3.21%", "q ends", "vramswap0", "live",
                                       "6G", "50%", "100M", "/swapfile", "-2"})
            REQUIRE(text.find(part) != std::string::npos);
        REQUIRE((text.find("NVIDIA RTX A2000") != std::string::npos) == (width == 200));
        REQUIRE(text.find("/dev/vramswap0") < text.find("/swapfile")); // the first to be filled first
    }
}

TEST_CASE("status fits into 80 columns, with a mark where it is cut, and tells all in 200") {
    const View both = view();
    const TableStyle style{.columns = choose_columns(status_default_columns, status_columns()).value()};
    REQUIRE(status_text(both.now, both.before, style, 80) ==
            "NAME      STATE ENGINE SIZE USED SWAP PRIO OUT/s IN/s IO-P50 IO-P99 GPU\n"
            "vramswap0 live  cuda     6G   1G   3G   50  100M   0B 12.3us 16.3us NVIDIA RTX …\n");
    const std::string wide = status_text(both.now, both.before, style, 200);
    INFO(wide);
    REQUIRE(wide.ends_with(" 16.3us NVIDIA RTX A2000 8GB Laptop GPU (0000:01:00.0)\n"));
    REQUIRE(wide == status_text(both.now, both.before, style, 0));
}

TEST_CASE("the first screen has no rates yet, and one without devices says so") {
    View first = view();
    first.before.clear();
    REQUIRE(screen_text(first, 80).find("100M") == std::string::npos);
    first.now.clear();
    first.swaps.clear();
    REQUIRE(screen_text(first, 80).find("vramswapctl add") != std::string::npos);
    REQUIRE(screen_text(first, 80).find("nothing is swapped on") != std::string::npos);
}

TEST_CASE("pressure that is not told is not shown") {
    REQUIRE(stalled("").empty());
    REQUIRE(stalled("nonsense\n").empty());
}

TEST_CASE("text is broken between words") {
    REQUIRE(wrapped("", 4, 10).empty());
    REQUIRE(wrapped("one two three", 0, 0) == "one two three");
    REQUIRE(wrapped("one two three", 2, 9) == "one two\n  three");
    REQUIRE(wrapped("one two three", 2, 10) == "one two\n  three");
    REQUIRE(wrapped("unbreakable one", 2, 5) == "unbreakable\n  one");
}

TEST_CASE("percentiles of reads are those of the sorted latencies") {
    Measured measured{.pattern = {.name = "reads", .threads = 1, .bytes = 4096, .random = true}, .seconds = 2};
    for (std::uint32_t i = 1; i <= 1000; ++i)
        measured.latencies.push_back(i * 1000);
    REQUIRE(latency_at(measured, 0) == 1000);
    REQUIRE(latency_at(measured, 0.5) == 500000);
    REQUIRE(latency_at(measured, 0.99) == 990000);
    REQUIRE(latency_at(measured, 0.999) == 999000);
    REQUIRE(latency_at(measured, 1) == 1000000);
    REQUIRE(json_bench("/dev/x", measured)["iops"].get<double>() == 500.0);
    const std::string table = bench_table({measured});
    INFO(table);
    REQUIRE(table.find("500us") != std::string::npos);
    measured.latencies = {7};
    REQUIRE(latency_at(measured, 0.001) == 7);
    REQUIRE(latency_at(measured, 1) == 7);
}
