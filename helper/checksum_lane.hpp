// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "block_sums.hpp"
#include "engine.hpp"

namespace vramswap {

/// A lane that checks what another one reads; ChecksumEngine tells of it.
///
/// A write's checksums are reckoned while its bytes are on their way, a read's after they came; some tenths of a
/// microsecond for 4 KiB.
class ChecksumLane final : public Lane {
public:
    /// Told the number of a block whose bytes are wrong, on the lane's thread; must not wait.
    using Damage = std::function<void(std::uint64_t block)>;

    /// `lane` has room for `depth` transfers; `sums` outlives both.
    ChecksumLane(std::unique_ptr<Lane> lane, BlockSums& sums, unsigned depth, Damage damage);

    ChecksumLane(const ChecksumLane&) = delete;
    ChecksumLane& operator=(const ChecksumLane&) = delete;
    ChecksumLane(ChecksumLane&&) = delete;
    ChecksumLane& operator=(ChecksumLane&&) = delete;
    ~ChecksumLane() override;

    [[nodiscard]] Result<void> begin() override { return lane_->begin(); }
    [[nodiscard]] std::size_t submit(std::span<const Transfer> transfers) noexcept override;
    [[nodiscard]] std::size_t poll(std::span<Completion> completions) noexcept override;
    [[nodiscard]] bool failed() const noexcept override { return lane_->failed(); }
    [[nodiscard]] std::string why() const override { return lane_->why(); }

private:
    using Sum = BlockSums::Sum;

    /// A transfer that waits for the other lane or is in it; its index is the token there.
    struct Slot {
        Transfer transfer; ///< as the caller gave it
        bool busy = false;
        unsigned tries = 0; ///< so many reads brought wrong bytes
    };

    [[nodiscard]] bool checked(const Transfer& transfer) const noexcept;
    [[nodiscard]] std::span<Sum> sums_of(std::uint32_t number) noexcept;

    void begin_slot(std::uint32_t number) noexcept;
    void feed() noexcept;
    void reckon(std::uint32_t number) noexcept;
    void end_write(std::uint32_t number, bool good) noexcept;
    [[nodiscard]] std::int64_t first_wrong(std::uint32_t number) noexcept;
    [[nodiscard]] bool finish(Completion& completion) noexcept;

    std::unique_ptr<Lane> lane_;
    BlockSums& table_;
    Damage damage_;
    std::vector<Slot> slots_;
    std::vector<Sum> sums_;           ///< of each slot's blocks: what a write writes, or what was known before a read
    std::vector<std::uint32_t> free_; ///< the first free_count_ are numbers of slots that are not busy
    std::vector<Transfer> waiting_;   ///< begun, not yet accepted by the other lane; the first waiting_count_
    std::size_t free_count_;
    std::size_t waiting_count_ = 0;
};

} // namespace vramswap
