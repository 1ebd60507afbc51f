// SPDX-License-Identifier: MIT
// What bench/gpu's report says of the goals.
#include "catch.hpp"

#include <algorithm>
#include <string>

#include "bench/gpu/goals.hpp"

namespace {

using namespace vramswap::bench;

/// A load of a thousand requests in a second, each as long as the other but for the slowest twentieth.
Row row(const std::string& engine, const char* what, Mix mix, unsigned depth, std::uint32_t length, std::uint64_t ns,
        std::uint64_t slow_ns = 0) {
    Row one{.engine = engine, .what = what, .mix = mix, .depth = depth, .length = length, .look = always_look};
    constexpr unsigned requests = 1000;
    for (unsigned i = 0; i < requests; ++i)
        one.outcome.latency.add(slow_ns != 0 && i % 20 == 0 ? slow_ns : ns);
    one.outcome.bytes = std::uint64_t{requests} * length;
    one.outcome.seconds = 1;
    return one;
}

std::optional<Goal> find(const Report& report, const std::string& what, const std::string& wanted) {
    const auto all = goals(report);
    const auto found = std::ranges::find_if(
        all, [&](const Goal& one) { return one.what.contains(what) && one.wanted.contains(wanted); });
    return found == all.end() ? std::nullopt : std::optional(*found);
}

std::optional<bool> met(const Report& report, const std::string& what, const std::string& wanted) {
    const auto found = find(report, what, wanted);
    REQUIRE(found);
    return found->met;
}

TEST_CASE("a report of nothing has all goals, and none is measured") {
    const auto all = goals({});
    CHECK(all.size() == 14);
    CHECK(std::ranges::none_of(all, [](const Goal& one) { return one.met.has_value(); }));
    CHECK(to_markdown({}).find("not measured") != std::string::npos);
}

TEST_CASE("a lone request is judged by the best path, polling by itself") {
    Report report;
    report.rows = {row("cuda engine", "lone", Mix::read, 1, 4096, 12'000),
                   row("cuda kernel", "lone", Mix::read, 1, 4096, 7'000, 20'000),
                   row("cuda poll", "lone", Mix::read, 1, 4096, 6'000, 7'000),
                   row("host", "lone", Mix::read, 1, 4096, 500)};
    CHECK(met(report, "4 KiB read, by copy engine", "p50") == true);
    CHECK(find(report, "4 KiB read, by copy engine", "p50")->found.contains("cuda kernel"));
    CHECK(met(report, "4 KiB read, by copy engine", "p99") == false);
    CHECK(met(report, "4 KiB read, by the program that polls", "p50") == false);
    CHECK(met(report, "4 KiB read, by the program that polls", "p99") == true);
    CHECK_FALSE(met(report, "4 KiB write, by copy engine", "p50").has_value());
}

TEST_CASE("an I/O thread that sleeps is not what the goals speak of") {
    Report report;
    report.rows = {row("cuda engine", "lone", Mix::read, 1, 4096, 1'000)};
    report.rows.front().look = usual_look;
    CHECK_FALSE(met(report, "4 KiB read, by copy engine", "p50").has_value());
}

TEST_CASE("a load that failed is no measure, however quick") {
    Report report;
    report.rows = {row("cuda engine", "lone", Mix::read, 1, 4096, 10'000),
                   row("cuda kernel", "lone", Mix::read, 1, 4096, 100),
                   row("cuda batch", "lone", Mix::read, 1, 4096, 100)};
    report.rows[1].outcome.errors = 1;
    report.rows[2].outcome.wrong = 1;
    CHECK(met(report, "4 KiB read, by copy engine", "p50") == false);
    CHECK(find(report, "4 KiB read, by copy engine", "p50")->found.contains("cuda engine"));
    report.rows[0].outcome.unanswered = 1;
    CHECK_FALSE(met(report, "4 KiB read, by copy engine", "p50").has_value());
}

TEST_CASE("twice the median is twice, whatever bucket it falls into") {
    Report report;
    report.rows = {row("cuda engine", "lone", Mix::read, 1, 4096, 4096, 8192)};
    CHECK(met(report, "4 KiB read, by copy engine", "p99") == true);
    report.rows = {row("cuda engine", "lone", Mix::read, 1, 4096, 4096, 8192 * 17 / 16)};
    CHECK(met(report, "4 KiB read, by copy engine", "p99") == false);
}

TEST_CASE("rates and shares are those of the best path") {
    Report report;
    report.rows = {row("cuda engine", "random", Mix::write, 512, 4096, 100),
                   row("cuda kernel", "random", Mix::write, 512, 4096, 100),
                   row("cuda engine", "large", Mix::read, 8, 1U << 20, 100)};
    report.rows[1].outcome.seconds = 0.0004;
    CHECK(met(report, "random 4 KiB write", "million") == true);
    CHECK(find(report, "random 4 KiB write", "million")->found.contains("2.50 million (cuda kernel"));
    report.rows[1].outcome.seconds = 0.0006;
    CHECK(met(report, "random 4 KiB write", "million") == false);
    CHECK_FALSE(met(report, "1 MiB read", "90 %").has_value());
    const double rate = 1000.0 * (1U << 20);
    report.raw = {{.what = "pinned 64 MiB, host to GPU", .bytes_per_second = rate * 9},
                  {.what = "pinned 64 MiB, GPU to host", .bytes_per_second = rate * 1.05}};
    CHECK(met(report, "1 MiB read", "90 %") == true);
    report.raw[1].bytes_per_second = rate * 1.2;
    CHECK(met(report, "1 MiB read", "90 %") == false);
}

TEST_CASE("of a neighbour the worst slowdown by copy engine counts") {
    Report report;
    report.beside = {{.engine = "cuda engine", .what = "random", .turns_alone = 100, .turns_loaded = 98},
                     {.engine = "cuda kernel", .what = "random", .turns_alone = 100, .turns_loaded = 50}};
    CHECK(met(report, "neighbour", "5 %") == true);
    report.beside.push_back({.engine = "cuda engine", .what = "large", .turns_alone = 100, .turns_loaded = 90});
    CHECK(met(report, "neighbour", "5 %") == false);
    report.beside.back() = {
        .engine = "cuda engine", .what = "large", .turns_alone = 100, .turns_loaded = 100, .right = false};
    CHECK(met(report, "neighbour", "5 %") == false);
}

TEST_CASE("a takeover is ready in time with every byte, or the goal is missed") {
    Report report;
    report.findings = {{.name = "a", .text = "", .ready_ms = 300}, {.name = "b", .text = ""}};
    CHECK(met(report, "death", "1 s") == true);
    report.findings[1] = {.name = "b", .verdict = Verdict::failed, .text = "", .ready_ms = 0};
    CHECK(met(report, "death", "1 s") == false);
    report.findings[1] = {.name = "b", .text = "", .ready_ms = 1001};
    CHECK(met(report, "death", "1 s") == false);
    report.findings.pop_back();
    report.troubles = {"loads (cuda poll): it died of signal 9"};
    CHECK(met(report, "death", "1 s") == true);
    report.troubles = {"broken (cuda poll): it died of signal 9"};
    CHECK(met(report, "death", "1 s") == false);
}

} // namespace
