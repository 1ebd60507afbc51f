// SPDX-License-Identifier: MIT
// Sums, differences and percentiles of the kernel's counters. Pure.
#pragma once

#include "control.hpp"

#include <cstdint>
#include <optional>
#include <span>

namespace vramswap::ctl {

/// The latency in ns below which `fraction` (0 to 1) of all requests lie. Within a bucket the requests are taken to be
/// spread evenly, so the answer is right to within its bucket: a factor of two at worst. Nothing if there are none.
std::optional<double> latency_percentile(const LatencyBuckets& buckets, double fraction);

/// No request took this long or longer, in ns. Nothing if there are none, or if one was past all buckets.
std::optional<std::uint64_t> latency_bound(const LatencyBuckets& buckets);

/// In ns; nothing if there are no requests.
std::optional<double> latency_mean(const OpStats& op);

OpStats op_sum(const OpStats& a, const OpStats& b);

/// What came on top of `before`. Counters that went back belong to a new device: then all of `now` came since.
OpStats op_since(const OpStats& now, const OpStats& before);

/// All queues as one; its index means nothing.
QueueStats queue_total(std::span<const QueueStats> queues);

} // namespace vramswap::ctl
