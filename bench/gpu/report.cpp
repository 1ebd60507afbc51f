// SPDX-License-Identifier: MIT
#include "report.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace vramswap::bench {
namespace {

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

double us(std::uint64_t ns) {
    return static_cast<double>(ns) / 1000;
}

std::string quoted(const std::string& text) {
    std::string out = "\"";
    for (const char one : text) {
        if (one == '"' || one == '\\')
            out += '\\';
        if (static_cast<unsigned char>(one) >= ' ')
            out += one;
    }
    return out + '"';
}

/// Elements that are made already, in brackets.
std::string listed(const std::vector<std::string>& elements) {
    return fmt::format("[{}]", fmt::join(elements, ",\n    "));
}

template<class Things, class Make>
std::string list_of(const Things& things, Make make) {
    std::vector<std::string> elements;
    std::ranges::transform(things, std::back_inserter(elements), make);
    return listed(elements);
}

std::string row_markdown(const Row& row) {
    const Outcome& out = row.outcome;
    return fmt::format("| {} | {} {} | {} KiB | {} | {} | {} | {:.1f} | {:.1f} | {:.1f} | {:.0f} | {:.2f} | {:.2f} |\n",
                       row.engine, row.what, word(row.mix), row.length >> 10, row.queues, row.depth, row.look.count(),
                       us(out.latency.quantile(0.5)), us(out.latency.quantile(0.99)), us(out.latency.quantile(0.999)),
                       out.per_second() / 1000, out.bytes_per_second() / 1e9,
                       out.bytes == 0 ? 0 : out.helper_cpu_seconds / (static_cast<double>(out.bytes) / 1e9));
}

constexpr const char* through_the_ring =
    "\n## Through the ring\n\nEvery byte that came back was compared. Spin is the longest that an I/O thread looks for "
    "work before it sleeps: 100000 us, with which it hardly ever does, and the helper's default. Processor time is of "
    "the helper's I/O threads (what the kernel module would copy and complete in them included), neither of those that "
    "make the load and compare the bytes nor of the driver's own.\n\n"
    "| engine | load | length | queues | depth | spin us | p50 us | p99 us | p99.9 us | kIOPS | GB/s | helper CPU s/GB "
    "|\n|---|---|---|---|---|---|---|---|---|---|---|---|\n";

} // namespace

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

bool passed(const Report& report) {
    return report.troubles.empty() && !report.findings.empty() && !report.rows.empty() &&
           std::ranges::none_of(report.findings, [](const Finding& one) { return one.verdict == Verdict::failed; }) &&
           std::ranges::all_of(report.rows, [](const Row& row) { return all_right(row.outcome); });
}

std::string to_markdown(const Report& report) {
    std::string text =
        report.fake ? "**No GPU: the fake libcuda of the project's tests. Its times mean nothing.**\n\n" : "";
    text += "# The CUDA engine on a GPU\n\n";
    for (const auto& [key, value] : report.hardware)
        text += fmt::format("- {}: {}\n", key, value);
    text += "\n## Checks\n\n| check | | |\n|---|---|---|\n";
    for (const Finding& one : report.findings)
        text += fmt::format("| {} | {} | {} |\n", one.name, word(one.verdict), one.text);
    text += "\n## Raw copies\n\n| copies | GB/s | thousand a second | p50 us | p99 us |\n|---|---|---|---|---|\n";
    for (const Raw& one : report.raw)
        text += fmt::format("| {} | {:.2f} | {:.1f} | {:.1f} | {:.1f} |\n", one.what, one.bytes_per_second / 1e9,
                            one.per_second / 1000, us(one.p50_ns), us(one.p99_ns));
    text += through_the_ring;
    for (const Row& row : report.rows)
        text += row_markdown(row);
    if (!report.choice.empty())
        text += fmt::format("\nWithout --cuda-path: {}.\n", report.choice);
    if (report.idle)
        text += fmt::format("\nIdle: {:.4f} of a processor.\n", *report.idle);
    for (const std::string& trouble : report.troubles)
        text += fmt::format("\nNot measured: {}\n", trouble);
    return text;
}

std::string to_json(const Report& report) {
    const auto hardware = list_of(report.hardware, [](const auto& one) {
        return fmt::format("{{{}: {}}}", quoted(one.first), quoted(one.second));
    });
    const auto findings = list_of(report.findings, [](const Finding& one) {
        return fmt::format("{{\"check\": {}, \"verdict\": {}, \"text\": {}}}", quoted(one.name),
                           quoted(word(one.verdict)), quoted(one.text));
    });
    const auto raw = list_of(report.raw, [](const Raw& one) {
        return fmt::format("{{\"what\": {}, \"bytes_per_second\": {:.0f}, \"per_second\": {:.0f}, \"p50_ns\": {}, "
                           "\"p99_ns\": {}}}",
                           quoted(one.what), one.bytes_per_second, one.per_second, one.p50_ns, one.p99_ns);
    });
    const auto rows = list_of(report.rows, [](const Row& row) {
        const Outcome& out = row.outcome;
        return fmt::format(
            "{{\"engine\": {}, \"what\": {}, \"op\": {}, \"length\": {}, \"queues\": {}, \"depth\": {}, "
            "\"spin_us\": {}, \"requests\": {}, \"per_second\": {:.0f}, \"bytes_per_second\": {:.0f}, \"p50_ns\": {}, "
            "\"p99_ns\": {}, \"p999_ns\": {}, \"helper_cpu_seconds\": {:.4f}, "
            "\"seconds\": {:.4f}, \"wrong\": {}, \"errors\": {}, \"unanswered\": {}}}",
            quoted(row.engine), quoted(row.what), quoted(word(row.mix)), row.length, row.queues, row.depth,
            row.look.count(), out.latency.count(), out.per_second(), out.bytes_per_second(), out.latency.quantile(0.5),
            out.latency.quantile(0.99), out.latency.quantile(0.999), out.helper_cpu_seconds, out.seconds, out.wrong,
            out.errors, out.unanswered);
    });
    const auto troubles = list_of(report.troubles, quoted);
    return fmt::format("{{\n  \"fake\": {},\n  \"hardware\": {},\n  \"checks\": {},\n  \"raw\": {},\n  \"loads\": {},\n"
                       "  \"choice\": {},\n"
                       "  \"idle_cpu\": {},\n  \"not_measured\": {}\n}}\n",
                       report.fake, hardware, findings, raw, rows, quoted(report.choice),
                       report.idle ? fmt::format("{:.5f}", *report.idle) : "null", troubles);
}

} // namespace vramswap::bench
