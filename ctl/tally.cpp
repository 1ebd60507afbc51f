// SPDX-License-Identifier: MIT
#include "tally.hpp"

#include <cmath>
#include <cstddef>
#include <numeric>

namespace vramswap::ctl {
namespace {

std::uint64_t bucket_start(std::size_t bucket) {
    return bucket == 0 ? 0 : std::uint64_t{1} << bucket;
}

std::uint64_t bucket_end(std::size_t bucket) {
    return std::uint64_t{1} << (bucket + 1);
}

bool went_back(const OpStats& now, const OpStats& before) {
    if (now.requests < before.requests || now.bytes < before.bytes || now.latency_ns < before.latency_ns)
        return true;
    for (std::size_t i = 0; i < now.latency.size(); ++i)
        if (now.latency[i] < before.latency[i])
            return true;
    return false;
}

} // namespace

std::optional<double> latency_percentile(const LatencyBuckets& buckets, double fraction) {
    const auto total = static_cast<double>(std::accumulate(buckets.begin(), buckets.end(), std::uint64_t{0}));
    if (total == 0)
        return std::nullopt;
    const double wanted = fraction * total;
    double below = 0;
    double answer = 0;
    for (std::size_t i = 0; i < buckets.size(); ++i) {
        if (buckets[i] == 0)
            continue;
        const auto here = static_cast<double>(buckets[i]);
        const auto start = static_cast<double>(bucket_start(i));
        const auto end = static_cast<double>(bucket_end(i));
        answer = std::lerp(start, end, std::min(1.0, std::max(0.0, (wanted - below) / here)));
        below += here;
        if (below >= wanted)
            break;
    }
    return answer;
}

std::optional<std::uint64_t> latency_bound(const LatencyBuckets& buckets) {
    if (buckets.back() != 0)
        return std::nullopt;
    for (std::size_t i = buckets.size(); i-- > 0;)
        if (buckets[i] != 0)
            return bucket_end(i);
    return std::nullopt;
}

std::optional<double> latency_mean(const OpStats& op) {
    if (op.requests == 0)
        return std::nullopt;
    return static_cast<double>(op.latency_ns) / static_cast<double>(op.requests);
}

OpStats op_sum(const OpStats& a, const OpStats& b) {
    OpStats sum{.requests = a.requests + b.requests,
                .bytes = a.bytes + b.bytes,
                .errors = a.errors + b.errors,
                .latency_ns = a.latency_ns + b.latency_ns};
    for (std::size_t i = 0; i < sum.latency.size(); ++i)
        sum.latency[i] = a.latency[i] + b.latency[i];
    return sum;
}

OpStats op_since(const OpStats& now, const OpStats& before) {
    if (went_back(now, before))
        return now;
    OpStats since{.requests = now.requests - before.requests,
                  .bytes = now.bytes - before.bytes,
                  .errors = now.errors - before.errors,
                  .latency_ns = now.latency_ns - before.latency_ns};
    for (std::size_t i = 0; i < since.latency.size(); ++i)
        since.latency[i] = now.latency[i] - before.latency[i];
    return since;
}

QueueStats queue_total(std::span<const QueueStats> queues) {
    QueueStats total;
    for (const QueueStats& queue : queues) {
        total.doorbells += queue.doorbells;
        total.enters += queue.enters;
        total.waits += queue.waits;
        total.replayed += queue.replayed;
        total.spins += queue.spins;
        total.inflight += queue.inflight;
        for (std::size_t op = 0; op < total.ops.size(); ++op)
            total.ops[op] = op_sum(total.ops[op], queue.ops[op]);
    }
    return total;
}

} // namespace vramswap::ctl
