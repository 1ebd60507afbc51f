// SPDX-License-Identifier: MIT
#include "rates.hpp"

#include "format.hpp"
#include "tally.hpp"
#include "words.hpp"

#include <uapi/vramswap.h>

#include <fmt/format.h>

#include <string_view>

namespace vramswap::ctl {
namespace {

Flow flow_of(const OpStats& op, double seconds) {
    const double bytes = static_cast<double>(op.bytes) / seconds;
    return {.pages_per_second = bytes / VRAMSWAP_BLOCK_SIZE,
            .bytes_per_second = bytes,
            .p50_ns = latency_percentile(op.latency, 0.5),
            .p99_ns = latency_percentile(op.latency, 0.99)};
}

// The widths of a line: clock, two flows, bytes in use. 79 columns, so that no terminal of 80 wraps.
constexpr int clock_width = 9;
constexpr int flow_width = 29;
constexpr int use_width = 8;
constexpr int name_width = 11;

std::string flow_text(const Flow& flow) {
    return fmt::format("{:>8.0f} {:>6} {:>6} {:>6}  ", flow.pages_per_second, format_rate(flow.bytes_per_second / 1e6),
                       format_latency(flow.p50_ns), format_latency(flow.p99_ns));
}

std::string name_text(std::string_view name, bool with_name) {
    return with_name ? fmt::format("{:<{}}", name, name_width) : "";
}

// What a line of figures must not keep to itself.
std::string remark(const Rates& rates, const DeviceInfo& device) {
    std::string text;
    if (device.state != VRAMSWAP_STATE_LIVE)
        text += "  " + state_word(device.state);
    if (rates.errors != 0)
        text += fmt::format("  {} failed", rates.errors);
    return text;
}

} // namespace

Rates rates_between(const QueueStats& now, const QueueStats& before, double seconds) {
    Rates rates{.seconds = seconds, .out = {}, .in = {}};
    for (std::size_t op = 0; op < now.ops.size(); ++op) {
        const OpStats since = op_since(now.ops[op], before.ops[op]);
        rates.errors += since.errors;
        if (op == VRAMSWAP_STAT_WRITE)
            rates.out = flow_of(since, seconds);
        else if (op == VRAMSWAP_STAT_READ)
            rates.in = flow_of(since, seconds);
    }
    return rates;
}

std::string rates_heading(bool with_name) {
    const std::string flow = fmt::format("{:>8} {:>6} {:>6} {:>6}", "pages/s", "MB/s", "p50", "p99");
    return fmt::format("{}{:<{}}{:-^{}}  {:-^{}}\n{}{:<{}}{}  {}  {:>{}}\n", name_text("", with_name), "", clock_width,
                       " swapped out ", flow_width, " swapped in ", flow_width, name_text("NAME", with_name), "TIME",
                       clock_width, flow, flow, "IN USE", use_width);
}

std::string rates_line(const Rates& rates, const DeviceInfo& device, std::uint64_t in_use, const std::string& clock,
                       bool with_name) {
    return fmt::format("{}{:<{}}{}{}{:>{}}{}\n", name_text(device.name, with_name), clock, clock_width,
                       flow_text(rates.out), flow_text(rates.in), format_size(in_use), use_width,
                       remark(rates, device));
}

} // namespace vramswap::ctl
