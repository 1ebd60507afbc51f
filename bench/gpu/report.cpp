// SPDX-License-Identifier: MIT
#include "report.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "goals.hpp"

namespace vramswap::bench {
namespace {

double us(std::uint64_t ns) {
    return static_cast<double>(ns) / 1000;
}

std::string row_markdown(const Row& row) {
    const Outcome& out = row.outcome;
    return fmt::format("| {} | {} {} | {} KiB | {} | {} | {} | {:.1f} | {:.1f} | {:.1f} | {:.0f} | {:.2f} | {:.2f} |\n",
                       row.engine, row.what, word(row.mix), row.length >> 10, row.queues, row.depth, row.look.count(),
                       us(out.latency.quantile(0.5)), us(out.latency.quantile(0.99)), us(out.latency.quantile(0.999)),
                       out.per_second() / 1000, out.bytes_per_second() / 1e9,
                       out.bytes == 0 ? 0 : out.helper_cpu_seconds / (static_cast<double>(out.bytes) / 1e9));
}

/// What failed and what was skipped, by name: nobody shall take the rest for all.
std::string short_of_ok(const Report& report) {
    std::string failed;
    std::string skipped;
    for (const Finding& one : report.findings)
        if (one.verdict != Verdict::ok)
            (one.verdict == Verdict::failed ? failed : skipped) += fmt::format("- {}: {}\n", one.name, one.text);
    for (const std::string& trouble : report.troubles)
        failed += fmt::format("- {}\n", trouble);
    std::string text;
    if (!failed.empty())
        text += "**Failed:**\n\n" + failed + "\n";
    if (!skipped.empty())
        text += "**Skipped, and so not settled by this run:**\n\n" + skipped + "\n";
    return text;
}

const char* word(const std::optional<bool>& met) {
    if (!met)
        return "";
    return *met ? "yes" : "**no**";
}

std::string goals_markdown(const Report& report) {
    std::string text = "\n## Goals\n\nThey are for an H100 or H200; one that is missed fails nothing.\n\n"
                       "| of | goal | found | met |\n|---|---|---|---|\n";
    for (const Goal& one : goals(report))
        text += fmt::format("| {} | {} | {} | {} |\n", one.what, one.wanted, one.met ? one.found : "not measured",
                            word(one.met));
    return text;
}

std::string raw_markdown(const Report& report) {
    if (report.raw.empty())
        return {};
    std::string text = "\n## Raw copies\n\n| copies | GB/s | thousand a second | p50 us | p99 us | PCIe meanwhile |\n"
                       "|---|---|---|---|---|---|\n";
    for (const Raw& one : report.raw)
        text += fmt::format("| {} | {:.2f} | {:.1f} | {} | {} | {} |\n", one.what, one.bytes_per_second / 1e9,
                            one.per_second / 1000, one.p50_ns == 0 ? "" : fmt::format("{:.1f}", us(one.p50_ns)),
                            one.p99_ns == 0 ? "" : fmt::format("{:.1f}", us(one.p99_ns)), one.link);
    return text;
}

std::string crossover_markdown(const Report& report) {
    if (report.crossover.empty())
        return {};
    std::string text =
        "\n## Pages at once\n\nUntil all are known to be there, us, as the engine measures it at start.\n\n"
        "| path |";
    for (std::size_t size = 0; size < CudaPaths::sizes; ++size)
        text += fmt::format(" {} |", 1U << size);
    text += "\n|---|";
    for (std::size_t size = 0; size < CudaPaths::sizes; ++size)
        text += "---|";
    for (const auto times : {&Crossover::reads, &Crossover::writes})
        for (const Crossover& one : report.crossover) {
            text += fmt::format("\n| {}, {} |", one.path, times == &Crossover::reads ? "read" : "write");
            for (const std::uint64_t ns : one.*times)
                text += ns == 0 ? " |" : fmt::format(" {:.1f} |", us(ns));
        }
    return text + "\n";
}

/// By how much less, of a hundred.
std::string slower(double with, double without) {
    return without == 0 ? "?" : fmt::format("{:.1f} %", 100 * (1 - with / without));
}

std::string beside_markdown(const Report& report) {
    if (report.beside.empty())
        return {};
    std::string text =
        "\n## Beside another process\n\nOn the same GPU, in a context of its own. How much slower the neighbour is "
        "beside "
        "our session at rest, how much beside our load, and our load beside it; each compared with itself alone.\n\n"
        "| engine | load | length | depth | neighbour | its turns a second | slower: at rest | slower: under load | "
        "our "
        "kIOPS | slower | p99 us | p99 us beside it |\n|---|---|---|---|---|---|---|---|---|---|---|---|\n";
    for (const Beside& one : report.beside)
        text += fmt::format("| {} | {} {} | {} KiB | {} | {} | {:.0f} | {} | {} | {:.0f} | {} | {:.1f} | {:.1f} |\n",
                            one.engine, one.what, word(one.mix), one.length >> 10, one.depth, one.neighbour,
                            one.turns_alone, slower(one.turns_idle, one.turns_alone),
                            slower(one.turns_loaded, one.turns_alone), one.ours_alone / 1000,
                            slower(one.ours_beside, one.ours_alone), us(one.p99_alone_ns), us(one.p99_beside_ns));
    return text;
}

std::string rows_markdown(const Report& report) {
    if (report.rows.empty())
        return {};
    std::string text =
        "\n## Through the ring\n\nEvery byte that came back was compared. Spin is the longest that an I/O thread looks "
        "for work before it sleeps: 100000 us, with which it hardly ever does, and the helper's default. Processor "
        "time "
        "is of the helper's I/O threads (what the kernel module would copy and complete in them included), neither of "
        "those that make the load and compare the bytes nor of the driver's own.\n\n"
        "| engine | load | length | queues | depth | spin us | p50 us | p99 us | p99.9 us | kIOPS | GB/s | helper CPU "
        "s/GB |\n|---|---|---|---|---|---|---|---|---|---|---|---|\n";
    for (const Row& row : report.rows)
        text += row_markdown(row);
    if (!report.choice.empty())
        text += fmt::format("\nIn the rows of cuda auto {}.\n", report.choice);
    return text;
}

std::string findings_markdown(const Report& report) {
    if (report.findings.empty())
        return {};
    std::string text = "\n## Checks\n\n| check | | |\n|---|---|---|\n";
    for (const Finding& one : report.findings)
        text += fmt::format("| {} | {} | {} |\n", one.name, word(one.verdict), one.text);
    return text +
           "\nOf system calls: a sleep is on the ring's own word, where the kernel module lets an I/O thread sleep in "
           "ENTER. A nap is the helper's while the GPU takes long; the driver's would not be told from it. Futexes "
           "on any other word are locks and wake-ups among the threads of the process. They do not reach the "
           "driver in the kernel and fail no check, but a wait is for another thread, which may be waiting for "
           "memory: none should be there. (The fake driver is made of threads and locks.)\n";
}

} // namespace

const char* word(Mix mix) {
    switch (mix) {
    case Mix::read:
        return "read";
    case Mix::write:
        return "write";
    case Mix::any:
        break;
    }
    return "any";
}

const char* word(Verdict verdict) {
    switch (verdict) {
    case Verdict::ok:
        return "ok";
    case Verdict::failed:
        return "FAILED";
    case Verdict::skipped:
        break;
    }
    return "skipped";
}

Verdict verdict(const Report& report) {
    const auto any = [&](Verdict verdict) {
        return std::ranges::any_of(report.findings, [&](const Finding& one) { return one.verdict == verdict; });
    };
    const bool empty = report.only.empty() && (report.findings.empty() || report.rows.empty());
    if (!report.troubles.empty() || empty || any(Verdict::failed) ||
        !std::ranges::all_of(report.rows, [](const Row& row) { return all_right(row.outcome); }) ||
        !std::ranges::all_of(report.beside, &Beside::right))
        return Verdict::failed;
    return any(Verdict::skipped) ? Verdict::skipped : Verdict::ok;
}

std::string to_markdown(const Report& report) {
    std::string text =
        report.fake ? "**No GPU: the fake libcuda of the project's tests. Its times mean nothing.**\n\n" : "";
    text += "# The CUDA engine on a GPU\n\n";
    if (!report.only.empty())
        text += fmt::format("**A part of the bench: `--only {}`.**\n\n", report.only);
    text += short_of_ok(report);
    for (const auto& [key, value] : report.hardware)
        text += fmt::format("- {}: {}\n", key, value);
    text += goals_markdown(report) + findings_markdown(report) + raw_markdown(report) + crossover_markdown(report) +
            rows_markdown(report) + beside_markdown(report);
    if (report.idle)
        text += fmt::format("\nIdle: {:.4f} of a processor.\n", *report.idle);
    return text;
}

} // namespace vramswap::bench
