// SPDX-License-Identifier: MIT
#include "report.hpp"

#include <fmt/format.h>

#include "goals.hpp"

namespace vramswap::bench {
namespace {

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

/// What `make` makes of each, in brackets.
template<class Things, class Make>
std::string list_of(const Things& things, Make make) {
    std::string text;
    for (const auto& thing : things)
        text += (text.empty() ? "" : ",\n    ") + make(thing);
    return "[" + text + "]";
}

} // namespace

std::string to_json(const Report& report) {
    const auto hardware = list_of(report.hardware, [](const auto& one) {
        return fmt::format("{{{}: {}}}", quoted(one.first), quoted(one.second));
    });
    const auto findings = list_of(report.findings, [](const Finding& one) {
        return fmt::format("{{\"check\": {}, \"verdict\": {}, \"text\": {}}}", quoted(one.name),
                           quoted(word(one.verdict)), quoted(one.text));
    });
    const auto goal_list = list_of(goals(report), [](const Goal& one) {
        const char* const met = one.met.value_or(false) ? "true" : "false";
        return fmt::format("{{\"what\": {}, \"goal\": {}, \"found\": {}, \"met\": {}}}", quoted(one.what),
                           quoted(one.wanted), quoted(one.found), one.met ? met : "null");
    });
    const auto raw = list_of(report.raw, [](const Raw& one) {
        return fmt::format("{{\"what\": {}, \"bytes_per_second\": {:.0f}, \"per_second\": {:.0f}, \"p50_ns\": {}, "
                           "\"p99_ns\": {}, \"link\": {}}}",
                           quoted(one.what), one.bytes_per_second, one.per_second, one.p50_ns, one.p99_ns,
                           quoted(one.link));
    });
    const auto numbers = [](std::uint64_t one) { return fmt::to_string(one); };
    const auto crossover = list_of(report.crossover, [&](const Crossover& one) {
        return fmt::format("{{\"path\": {}, \"read_ns\": {}, \"write_ns\": {}}}", quoted(one.path),
                           list_of(one.reads, numbers), list_of(one.writes, numbers));
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
    const auto beside = list_of(report.beside, [](const Beside& one) {
        return fmt::format(
            "{{\"engine\": {}, \"neighbour\": {}, \"what\": {}, \"op\": {}, \"length\": {}, \"depth\": {}, "
            "\"turns_alone\": {:.1f}, \"turns_idle\": {:.1f}, \"turns_loaded\": {:.1f}, "
            "\"ours_alone\": {:.0f}, \"ours_beside\": {:.0f}, \"p99_alone_ns\": {}, "
            "\"p99_beside_ns\": {}, \"right\": {}}}",
            quoted(one.engine), quoted(one.neighbour), quoted(one.what), quoted(word(one.mix)), one.length, one.depth,
            one.turns_alone, one.turns_idle, one.turns_loaded, one.ours_alone, one.ours_beside, one.p99_alone_ns,
            one.p99_beside_ns, one.right);
    });
    const auto troubles = list_of(report.troubles, quoted);
    return fmt::format("{{\n  \"fake\": {},\n  \"only\": {},\n  \"hardware\": {},\n  \"goals\": {},\n  \"checks\": "
                       "{},\n  \"raw\": {},\n"
                       "  \"crossover\": {},\n  \"loads\": {},\n  \"choice\": {},\n  \"beside\": {},\n"
                       "  \"idle_cpu\": {},\n  \"not_measured\": {}\n}}\n",
                       report.fake, quoted(report.only), hardware, goal_list, findings, raw, crossover, rows,
                       quoted(report.choice), beside, report.idle ? fmt::format("{:.5f}", *report.idle) : "null",
                       troubles);
}

} // namespace vramswap::bench
