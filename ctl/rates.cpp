// SPDX-License-Identifier: MIT
#include "rates.hpp"

#include "format.hpp"
#include "tally.hpp"
#include "words.hpp"

#include <uapi/vramswap.h>

#include <fmt/format.h>

namespace vramswap::ctl {
namespace {

Flow flow_of(const OpStats& op, double seconds) {
    const double bytes = static_cast<double>(op.bytes) / seconds;
    return {.pages_per_second = bytes / VRAMSWAP_BLOCK_SIZE,
            .bytes_per_second = bytes,
            .p50_ns = latency_percentile(op.latency, 0.5),
            .p99_ns = latency_percentile(op.latency, 0.99)};
}

// 30 columns, as in rates_heading.
std::string flow_text(const Flow& flow) {
    return fmt::format("{:>8.0f} {:>6} {:>6} {:>6}  ", flow.pages_per_second, format_rate(flow.bytes_per_second / 1e6),
                       format_latency(flow.p50_ns), format_latency(flow.p99_ns));
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
    const std::string name = with_name ? "           " : "";
    return name + "          ------- swapped out -------  ------- swapped in --------\n" + name +
           "TIME       pages/s   MB/s    p50    p99   pages/s   MB/s    p50    p99  IN USE\n";
}

std::string rates_line(const Rates& rates, const DeviceInfo& device, std::uint64_t in_use, const std::string& clock,
                       bool with_name) {
    return fmt::format("{}{:<10}{}{}{:>8}{}\n", with_name ? fmt::format("{:<11}", device.name) : "", clock,
                       flow_text(rates.out), flow_text(rates.in), format_size(in_use), remark(rates, device));
}

} // namespace vramswap::ctl
