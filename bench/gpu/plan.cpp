// SPDX-License-Identifier: MIT
#include "plan.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <fstream>

#include <fmt/format.h>

#include "hardware.hpp"
#include "step.hpp"

namespace vramswap::bench {
namespace {

using Clock = std::chrono::steady_clock;

/// What --cuda-path can say, and before that what most users have: the mixture that the engine finds best.
constexpr std::array<std::optional<CudaPath>, 5> all_paths{std::nullopt, CudaPath::engine, CudaPath::batch,
                                                           CudaPath::kernel, CudaPath::poll};
static_assert(all_paths.size() == cuda_paths.size() + 1);

bool write_file(const std::string& path, const std::string& text) {
    std::ofstream file(path);
    file << text;
    return static_cast<bool>(file.flush());
}

/// A path that this GPU or driver lacks is no failure.
void explain(const std::string& what, const Error& error, Report& report) {
    if (error.code == ENOTSUP)
        report.findings.push_back({.name = what, .verdict = Verdict::skipped, .text = error.message});
    else
        report.troubles.push_back(fmt::format("{}: {}", what, error.message));
}

/// Bytes that came back wrong, or not at all.
void complain(const std::string& what, const Row& row, Report& report) {
    const Outcome& out = row.outcome;
    if (!all_right(out))
        report.troubles.push_back(fmt::format("{}, {} of {} KiB, depth {}: of {} requests {} failed, {} were not "
                                              "answered; {} blocks wrong",
                                              what, row.what, row.length >> 10, row.depth, out.latency.count(),
                                              out.errors, out.unanswered, out.wrong));
}

} // namespace

Setting Bench::with(std::optional<CudaPath> path) const {
    Setting one = setting_;
    one.path = path;
    return one;
}

void Bench::step(const std::string& what, const std::function<void(Report&)>& work) {
    if (!what.contains(report_.only) && what != "hardware")
        return;
    const Report before = report_;
    const auto start = Clock::now();
    // Longer than anything should take: a GPU that fails leaves requests unanswered, which is right for swap, and would
    // be silence here.
    in_own_process(what, std::chrono::minutes(1) + 60 * setting_.time, work, report_);
    tell(fmt::format("{} ({:.1f} s)", what, std::chrono::duration<double>(Clock::now() - start).count()), before);
    written_ = write_file(path_ + ".md", to_markdown(report_)) && write_file(path_ + ".json", to_json(report_));
}

/// What a step has added.
void Bench::tell(const std::string& what, const Report& before) const {
    fmt::print("{}\n", what);
    for (std::size_t i = before.findings.size(); i < report_.findings.size(); ++i)
        fmt::print("  {}: {}: {}\n", word(report_.findings[i].verdict), report_.findings[i].name,
                   report_.findings[i].text);
    if (const auto rows = report_.rows.size() + report_.beside.size() - before.rows.size() - before.beside.size();
        rows != 0)
        fmt::print("  {} loads measured\n", rows);
    for (std::size_t i = before.troubles.size(); i < report_.troubles.size(); ++i)
        fmt::print("  FAILED: {}\n", report_.troubles[i]);
    (void)std::fflush(stdout);
}

void Bench::check(const char* what, Finding (*look)(const Setting&), std::optional<CudaPath> path) {
    step(fmt::format("{} ({})", what, path_text(path)),
         [&](Report& report) { report.findings.push_back(look(with(path))); });
}

template<class Place, class Measure>
void Bench::measure(const std::string& what, Place Report::* place, Measure measure) {
    step(what, [&](Report& report) {
        if (auto measured = measure())
            report.*place = std::move(*measured);
        else
            explain(what, measured.error(), report);
    });
}

void Bench::loads(const Setting& setting, bool host) {
    const std::string what = fmt::format("loads ({})", host ? "host" : engine_text(setting));
    step(what, [&](Report& report) {
        auto loads = measure_loads(setting, host);
        if (!loads)
            return explain(what, loads.error(), report);
        for (const Row& row : loads->rows)
            complain(what, row, report);
        report.rows = std::move(loads->rows);
        if (!host && !setting.path && !setting.checksums)
            report.choice = std::move(loads->remarks);
    });
}

void Bench::beside(std::optional<CudaPath> path) {
    const std::string what = fmt::format("neighbour ({})", path_text(path));
    step(what, [&](Report& report) {
        auto measured = measure_beside(with(path));
        if (!measured)
            return explain(what, measured.error(), report);
        if (!std::ranges::all_of(*measured, &Beside::right))
            report.troubles.push_back(fmt::format("{}: blocks wrong, or requests that failed", what));
        report.beside = std::move(*measured);
    });
}

bool Bench::run() {
    step("hardware", [&](Report& report) { describe(setting_, report); });
    check("killed", check_killed, {});
    check("killed, unheld", check_killed_unheld, {});
    for (const auto& path : all_paths)
        check("system calls", check_system_calls, path);
    check("start", check_start, {});
    check("memory", check_memory, {});
    for (const auto& path : all_paths)
        check("every byte", check_every_byte, path);
    check("registration", check_registration, CudaPath::engine);
    measure("raw copies", &Report::raw, [&] { return measure_raw(setting_); });
    measure("crossover", &Report::crossover, [&] { return measure_crossover(setting_); });
    for (const auto& path : all_paths)
        loads(with(path), false);
    Setting checked = with({});
    checked.checksums = true;
    loads(checked, false);
    loads(setting_, true);
    for (const auto& path : all_paths)
        beside(path);
    measure("idling", &Report::idle, [&] { return measure_idle(setting_); });
    // Last, in case that a GPU does not get over it.
    for (const auto& path : all_paths)
        check("broken", check_broken, path);
    return written_;
}

} // namespace vramswap::bench
