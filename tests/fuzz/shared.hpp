// SPDX-License-Identifier: MIT
// What the fuzzer's processes share: dice, counters, and how a word tells where it comes from.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <span>
#include <string>

#include <fmt/format.h>

namespace fuzz {

/// A stream of dice that one number makes again (splitmix64).
class Dice {
public:
    explicit Dice(std::uint64_t seed) : state_(seed) {}

    std::uint64_t word() {
        std::uint64_t z = (state_ += 0x9e3779b97f4a7c15);
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
        z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
        return z ^ (z >> 31);
    }
    /// 0 to sides - 1.
    std::uint64_t below(std::uint64_t sides) { return sides == 0 ? 0 : word() % sides; }
    bool one_in(std::uint64_t sides) { return below(sides) == 0; }
    template<typename T, std::size_t n>
    T pick(const std::array<T, n>& from) {
        return from[below(n)];
    }

    /// A number of the kind that breaks things: small, at an edge, a power of two and its neighbours, or anything.
    std::uint64_t edgy() {
        switch (below(5)) {
        case 0:
            return below(8);
        case 1:
            return (std::uint64_t{1} << below(64)) + below(3) - 1;
        case 2:
            return ~std::uint64_t{0} - below(4);
        case 3:
            return below(std::uint64_t{1} << (1 + below(20)));
        default:
            return word();
        }
    }

private:
    std::uint64_t state_;
};

/// Counters of all processes, in memory that they share.
struct Counts {
    std::atomic<std::uint64_t>
        operations; ///< calls to the control device and its mappings, stores to what is shared (a CQE, a slot)
    std::atomic<std::uint64_t> sessions;   ///< that went live
    std::atomic<std::uint64_t> broken;     ///< that the kernel ended with EBADMSG
    std::atomic<std::uint64_t> answered;   ///< requests that got a sound answer
    std::atomic<std::uint64_t> looked;     ///< of them writes whose data was looked at
    std::atomic<std::uint64_t> io_good;    ///< the witnesses' requests
    std::atomic<std::uint64_t> io_failed;  ///< of them with an error, which is allowed
    std::atomic<std::uint64_t> netlink;    ///< messages
    std::atomic<std::uint64_t> violations; ///< of what the kernel promises: must be 0
    std::atomic<std::uint32_t> epoch;      ///< which hostile helper is at work; grows
    std::atomic<std::uint64_t> cookie;     ///< of the contents that the last one had
    std::atomic<std::uint64_t> capacity;   ///< theirs
    std::atomic<bool> over;
};

/// Says what the kernel did that it must not do, and counts it.
template<typename... Args>
void violation(Counts& counts, fmt::format_string<Args...> format, Args&&... args) {
    ++counts.violations;
    const std::string text = fmt::format(format, std::forward<Args>(args)...);
    (void)std::fprintf(stderr, "VIOLATION: %s\n", text.c_str());
}

// A word's upper 16 bits say who wrote it, the lower 32 in which epoch; a witness's 16 bits between, to which block.
inline constexpr std::uint64_t helper_mark = 0x4845;
inline constexpr std::uint64_t witness_mark = 0x5749;

inline std::uint64_t marked(std::uint64_t mark, std::uint32_t epoch) {
    return (mark << 48) | epoch;
}
inline std::uint64_t marked_for(std::uint64_t block, std::uint32_t epoch) {
    return marked(witness_mark, epoch) | ((block & 0xffff) << 32);
}
/// A word that somebody of us wrote, in whatever epoch.
inline bool is_ours(std::uint64_t word) {
    return (word >> 48) == helper_mark || (word >> 48) == witness_mark;
}
inline bool is_for(std::uint64_t word, std::uint64_t block) {
    return ((word >> 32) & 0xffff) == (block & 0xffff);
}
inline std::uint64_t mark_of(std::uint64_t word) {
    return word >> 48;
}
inline std::uint32_t epoch_of(std::uint64_t word) {
    return static_cast<std::uint32_t>(word);
}

} // namespace fuzz
