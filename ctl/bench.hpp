// SPDX-License-Identifier: MIT
// Reads of a block device, measured. The pure part of vramswapctl bench.
#pragma once

#include "json.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace vramswap::ctl {

/// One kind of reading.
struct Pattern {
    const char* name;
    unsigned threads;  ///< each with one read under way
    std::size_t bytes; ///< of one read
    bool random;
};

/// What it took.
struct Measured {
    Pattern pattern;
    double seconds = 0;
    std::vector<std::uint32_t> latencies; ///< of all reads, ns, sorted
};

/// The latency, ns, that `fraction` (0 to 1) of the reads stayed at or below. There is at least one read.
std::uint32_t latency_at(const Measured& measured, double fraction);

/// A table of all, or a line of JSON for each.
std::string bench_table(const std::vector<Measured>& all);
Json json_bench(const std::string& path, const Measured& measured);

} // namespace vramswap::ctl
