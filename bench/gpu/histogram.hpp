// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstdint>

namespace vramswap::bench {

/// Latencies in buckets whose width is a sixteenth of their size at most.
class Histogram {
public:
    void add(std::uint64_t ns) noexcept;
    void add(const Histogram& other) noexcept;

    [[nodiscard]] std::uint64_t count() const noexcept { return count_; }

    /// The upper end of the bucket in which that part of all lies, ns; 0 if there are none. `part` is within 0 and 1.
    [[nodiscard]] std::uint64_t quantile(double part) const noexcept;

private:
    static constexpr unsigned fine_bits = 4;
    static constexpr unsigned buckets = 64 << fine_bits;

    [[nodiscard]] static unsigned bucket_of(std::uint64_t ns) noexcept;
    [[nodiscard]] static std::uint64_t end_of(unsigned bucket) noexcept;

    std::array<std::uint64_t, buckets> counts_{};
    std::uint64_t count_ = 0;
};

} // namespace vramswap::bench
