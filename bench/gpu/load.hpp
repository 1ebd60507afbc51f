// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstdint>
#include <vector>

#include "histogram.hpp"
#include "rig.hpp"

namespace vramswap::bench {

/// What is asked of a rig.
enum class Mix : std::uint8_t { read, write, any };

struct Load {
    Mix mix = Mix::read;
    unsigned depth = 1;          ///< requests under way in each queue, at most as many as slots
    std::uint32_t length = 4096; ///< bytes, of each request; of the longest with Mix::any
    std::chrono::milliseconds time{1000};
};

/// What came of it.
struct Outcome {
    Histogram latency; ///< from before the copy into the slot to after the copy out of it
    std::uint64_t bytes = 0;
    std::uint64_t wrong = 0;      ///< blocks that were not what was written there last
    std::uint64_t errors = 0;     ///< requests that failed
    std::uint64_t unanswered = 0; ///< requests that were under way when their I/O thread ended
    double seconds = 0;
    double helper_cpu_seconds = 0; ///< of the I/O threads

    [[nodiscard]] double per_second() const noexcept { return static_cast<double>(latency.count()) / seconds; }
    [[nodiscard]] double bytes_per_second() const noexcept { return static_cast<double>(bytes) / seconds; }
};

/// What each block of the device must hold: words made of its number and how often it was written.
class Model {
public:
    explicit Model(std::uint64_t capacity) : versions_(capacity / VRAMSWAP_BLOCK_SIZE, cleared) {}

    [[nodiscard]] std::uint64_t blocks() const noexcept { return versions_.size(); }
    void write(std::uint64_t block, std::byte* bytes) noexcept;
    void clear(std::uint64_t block) noexcept { versions_[block] |= cleared; }

    /// Nobody knows: its last write was not answered.
    void doubt(std::uint64_t block) noexcept { versions_[block] |= doubted; }

    /// Bytes that may be there.
    [[nodiscard]] bool is(std::uint64_t block, const std::byte* bytes) const noexcept;

    /// For a process that has to look at what this one has left.
    [[nodiscard]] std::span<const std::uint64_t> versions() const noexcept { return versions_; }
    explicit Model(std::span<const std::uint64_t> versions) : versions_(versions.begin(), versions.end()) {}

private:
    static constexpr std::uint64_t cleared = 1ULL << 63;
    static constexpr std::uint64_t doubted = 1ULL << 62;

    /// How often it was written, and whether it was cleared or came into doubt since.
    std::vector<std::uint64_t> versions_;
};

/// Drives all queues, each by one thread of its own, and looks at every byte that comes back. `model` must be what the
/// device holds, and is afterwards. Ends early in a queue whose I/O thread has ended.
[[nodiscard]] Outcome run(Rig& rig, const Load& load, Model& model);

/// Writes every block once, by the first queue.
[[nodiscard]] Outcome fill(Rig& rig, Model& model);

/// Reads every block once, by the first queue.
[[nodiscard]] Outcome read_all(Rig& rig, const Model& model);

/// There was something, and it was right.
[[nodiscard]] inline bool all_right(const Outcome& outcome) {
    return outcome.bytes != 0 && outcome.wrong + outcome.errors + outcome.unanswered == 0;
}

} // namespace vramswap::bench
