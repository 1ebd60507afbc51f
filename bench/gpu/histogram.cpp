// SPDX-License-Identifier: MIT
#include "histogram.hpp"

#include <bit>

namespace vramswap::bench {

unsigned Histogram::bucket_of(std::uint64_t ns) noexcept {
    constexpr std::uint64_t fine = 1U << fine_bits;
    if (ns < fine)
        return static_cast<unsigned>(ns);
    const auto magnitude = static_cast<unsigned>(std::bit_width(ns)) - 1;
    return ((magnitude - fine_bits + 1) << fine_bits) + static_cast<unsigned>((ns >> (magnitude - fine_bits)) - fine);
}

std::uint64_t Histogram::end_of(unsigned bucket) noexcept {
    constexpr std::uint64_t fine = 1U << fine_bits;
    if (bucket < fine)
        return bucket;
    return ((fine + bucket % fine + 1) << (bucket / fine - 1)) - 1;
}

void Histogram::add(std::uint64_t ns) noexcept {
    ++counts_.at(bucket_of(ns));
    ++count_;
}

void Histogram::add(const Histogram& other) noexcept {
    for (unsigned i = 0; i < buckets; ++i)
        counts_.at(i) += other.counts_.at(i);
    count_ += other.count_;
}

std::uint64_t Histogram::quantile(double part) const noexcept {
    const auto wanted = static_cast<std::uint64_t>(part * static_cast<double>(count_));
    std::uint64_t seen = 0;
    for (unsigned i = 0; i < buckets; ++i) {
        seen += counts_.at(i);
        if (counts_.at(i) != 0 && seen >= wanted)
            return end_of(i);
    }
    return 0;
}

} // namespace vramswap::bench
