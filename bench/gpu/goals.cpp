// SPDX-License-Identifier: MIT
#include "goals.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>

#include <fmt/format.h>

#include "rig.hpp"

namespace vramswap::bench {
namespace {

constexpr std::uint32_t page = 4096;
constexpr std::uint32_t large = 1U << 20;

/// A load by a path that some choice allows, its I/O thread awake. What failed is no measure: to fail may be quick.
template<class Choice>
std::vector<const Row*> rows_of(const Report& report, std::string_view what, Mix mix, Choice choice) {
    std::vector<const Row*> found;
    for (const Row& row : report.rows)
        if (row.what == what && row.mix == mix && row.look == always_look && all_right(row.outcome) &&
            row.engine.starts_with("cuda ") && choice(row))
            found.push_back(&row);
    return found;
}

std::string by(const Row& row) {
    return fmt::format("{}, {} queue{}", row.engine, row.queues, row.queues == 1 ? "" : "s");
}

Goal not_measured(std::string what, std::string wanted) {
    return {.what = std::move(what), .wanted = std::move(wanted), .found = {}, .met = {}};
}

/// A lone request's median, and its 99th percentile by the same path. `polling`: by the program that never ends.
void add_lone(std::vector<Goal>& goals, const Report& report, Mix mix, bool polling) {
    const std::uint64_t limit_us = polling ? 5 : 8;
    const std::string what = fmt::format("a lone 4 KiB {}, {}", word(mix),
                                         polling ? "by the program that polls" : "by copy engine or program");
    const std::string wanted = fmt::format("p50 ≤ {} µs", limit_us);
    const std::string wanted_tail = "p99 ≤ 2 × p50";
    const auto rows = rows_of(report, "lone", mix, [&](const Row& row) {
        return row.length == page && (row.engine == "cuda poll") == polling;
    });
    const auto median = [](const Row* row) { return row->outcome.latency.quantile(0.5); };
    const auto best = std::ranges::min_element(rows, {}, median);
    if (best == rows.end()) {
        goals.push_back(not_measured(what, wanted));
        goals.push_back(not_measured(what, wanted_tail));
        return;
    }
    const std::uint64_t p50 = median(*best);
    // Of the ends of their buckets, which are one less than what is twice as much.
    const double tail = static_cast<double>((*best)->outcome.latency.quantile(0.99) + 1) / static_cast<double>(p50 + 1);
    goals.push_back({.what = what,
                     .wanted = wanted,
                     .found = fmt::format("{:.1f} µs ({})", static_cast<double>(p50) / 1000, (*best)->engine),
                     .met = p50 <= limit_us * 1000});
    goals.push_back({.what = what,
                     .wanted = wanted_tail,
                     .found = fmt::format("{:.2f} × ({})", tail, (*best)->engine),
                     .met = tail <= 2});
}

Goal deep(const Report& report, Mix mix) {
    constexpr double limit = 2e6;
    const std::string what = fmt::format("random 4 KiB {}, depth 512", word(mix));
    const std::string wanted = "≥ 2.0 million IOPS";
    const auto rows =
        rows_of(report, "random", mix, [](const Row& row) { return row.length == page && row.depth == 512; });
    const auto rate = [](const Row* row) { return row->outcome.per_second(); };
    const auto best = std::ranges::max_element(rows, {}, rate);
    if (best == rows.end())
        return not_measured(what, wanted);
    return {.what = what,
            .wanted = wanted,
            .found = fmt::format("{:.2f} million ({})", rate(*best) / 1e6, by(**best)),
            .met = rate(*best) >= limit};
}

Goal wide(const Report& report, Mix mix) {
    constexpr double limit = 0.9;
    const std::string what = fmt::format("1 MiB {}", word(mix));
    const std::string wanted = "≥ 90 % of the raw pinned copy";
    const std::string_view direction = mix == Mix::read ? "GPU to host" : "host to GPU";
    const auto raw = std::ranges::find_if(report.raw, [&](const Raw& one) {
        return one.what.starts_with("pinned") && one.what.ends_with(direction) && one.bytes_per_second > 0;
    });
    const auto rows = rows_of(report, "large", mix, [](const Row& row) { return row.length == large; });
    const auto rate = [](const Row* row) { return row->outcome.bytes_per_second(); };
    const auto best = std::ranges::max_element(rows, {}, rate);
    if (raw == report.raw.end() || best == rows.end())
        return not_measured(what, wanted);
    const double share = rate(*best) / raw->bytes_per_second;
    return {.what = what,
            .wanted = wanted,
            .found = fmt::format("{:.0f} %, {:.1f} of {:.1f} GB/s ({})", 100 * share, rate(*best) / 1e9,
                                 raw->bytes_per_second / 1e9, by(**best)),
            .met = share >= limit};
}

Goal neighbour(const Report& report) {
    constexpr double limit = 0.05;
    const std::string what = "a computing neighbour's slowdown under load, by copy engine";
    const std::string wanted = "≤ 5 %";
    double worst = 0;
    const Beside* of = nullptr;
    bool right = true; // a load that does nothing slows nobody down
    for (const Beside& one : report.beside) {
        if (one.engine != "cuda engine" || one.turns_alone <= 0)
            continue;
        right = right && one.right;
        const double slowdown = 1 - one.turns_loaded / one.turns_alone;
        if (of == nullptr || slowdown > worst) {
            worst = slowdown;
            of = &one;
        }
    }
    if (of == nullptr)
        return not_measured(what, wanted);
    return {.what = what,
            .wanted = wanted,
            .found = fmt::format("{:.1f} % at worst ({} {} of {} KiB){}", 100 * worst, of->what, word(of->mix),
                                 of->length >> 10, right ? "" : "; a load failed"),
            .met = right && worst <= limit};
}

/// A step that ends in a takeover, and did not end well enough to say how.
bool lost_takeover(const std::string& trouble) {
    return trouble.starts_with("killed") || trouble.starts_with("broken");
}

Goal takeover(const Report& report) {
    constexpr std::uint64_t limit_ms = 1000;
    const std::string what = "from a helper's death to the next one's readiness, no byte lost";
    const std::string wanted = "≤ 1 s";
    auto failed = static_cast<unsigned>(std::ranges::count_if(report.troubles, lost_takeover));
    unsigned count = failed;
    std::uint64_t worst = 0;
    for (const Finding& one : report.findings) {
        if (!one.ready_ms)
            continue;
        ++count;
        failed += one.verdict == Verdict::ok ? 0 : 1;
        worst = std::max(worst, *one.ready_ms);
    }
    if (count == 0)
        return not_measured(what, wanted);
    return {.what = what,
            .wanted = wanted,
            .found = fmt::format("{} ms at worst, {} of {} failed", worst, failed, count),
            .met = failed == 0 && worst <= limit_ms};
}

} // namespace

std::vector<Goal> goals(const Report& report) {
    std::vector<Goal> all;
    for (const bool polling : {false, true})
        for (const Mix mix : {Mix::read, Mix::write})
            add_lone(all, report, mix, polling);
    for (const Mix mix : {Mix::read, Mix::write})
        all.push_back(deep(report, mix));
    for (const Mix mix : {Mix::read, Mix::write})
        all.push_back(wide(report, mix));
    all.push_back(neighbour(report));
    all.push_back(takeover(report));
    return all;
}

} // namespace vramswap::bench
