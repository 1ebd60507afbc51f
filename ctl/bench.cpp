// SPDX-License-Identifier: MIT
#include "bench.hpp"

#include "format.hpp"
#include "table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

namespace vramswap::ctl {
namespace {

double reads_per_second(const Measured& measured) {
    return static_cast<double>(measured.latencies.size()) / measured.seconds;
}

double mean(const Measured& measured) {
    return std::accumulate(measured.latencies.begin(), measured.latencies.end(), 0.0) /
           static_cast<double>(measured.latencies.size());
}

std::string latency_text(const Measured& measured, double fraction) {
    return format_latency(latency_at(measured, fraction));
}

} // namespace

std::uint32_t latency_at(const Measured& measured, double fraction) {
    const auto count = measured.latencies.size();
    const auto rank = static_cast<std::size_t>(std::ceil(fraction * static_cast<double>(count)));
    return measured.latencies[std::clamp<std::size_t>(rank, 1, count) - 1];
}

std::string bench_table(const std::vector<Measured>& all) {
    static const std::vector<Column> columns{{"READS"},     {"IOPS", true}, {"MB/s", true},  {"MEAN", true},
                                             {"P50", true}, {"P99", true},  {"P99.9", true}, {"MAX", true}};
    std::vector<Row> rows;
    for (const Measured& measured : all) {
        const double rate = reads_per_second(measured);
        rows.push_back({measured.pattern.name, fmt::format("{:.0f}", rate),
                        format_rate(rate * static_cast<double>(measured.pattern.bytes) / 1e6),
                        format_latency(mean(measured)), latency_text(measured, 0.5), latency_text(measured, 0.99),
                        latency_text(measured, 0.999), latency_text(measured, 1)});
    }
    return render_table(columns, rows, true);
}

Json json_bench(const std::string& path, const Measured& measured) {
    return {{"device", path},
            {"reads", measured.pattern.name},
            {"threads", measured.pattern.threads},
            {"bytes", measured.pattern.bytes},
            {"seconds", measured.seconds},
            {"count", measured.latencies.size()},
            {"iops", reads_per_second(measured)},
            {"mean_ns", std::llround(mean(measured))},
            {"p50_ns", latency_at(measured, 0.5)},
            {"p99_ns", latency_at(measured, 0.99)},
            {"p999_ns", latency_at(measured, 0.999)},
            {"max_ns", latency_at(measured, 1)}};
}

} // namespace vramswap::ctl
