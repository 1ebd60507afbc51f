// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "engine.hpp"
#include "policy.hpp"
#include "ring.hpp"

namespace vramswap {

/// What one queue's loop works with. All is borrowed and must outlive the loop.
struct IoLoopParts {
    unsigned queue = 0;
    Ring ring;
    Doorbell& kernel;
    Lane& lane;
    std::span<std::byte> staging; ///< this queue's slots
    std::uint32_t slots = 0;
    std::uint32_t slot_size = 0; ///< bytes
    policy::Spin spin;
    unsigned cpus = 1; ///< that this process may run on
};

/// Why a loop ended.
struct LoopEnd {
    policy::EndCause cause = policy::EndCause::asked;
    int code = 0;        ///< errno of ENTER, for EndCause::kernel
    bool drained = true; ///< the lane let go of all transfers; if not, it may still write to staging and store
};

/// One thread's work for one queue: SQEs from the ring to the lane, answers from the lane to the ring.
///
/// Everything is allocated by the constructor. run allocates nothing, throws nothing, and makes no system call but
/// ENTER (and a short sleep while the engine takes unusually long).
class IoLoop {
public:
    explicit IoLoop(const IoLoopParts& parts);

    /// Serves until the session ends, the lane fails, or `asked` is set; the latter is seen only while the thread does
    /// not sleep in ENTER, so whoever sets it also sends the thread a signal. Waits a little for the lane to let go of
    /// its transfers before it returns.
    [[nodiscard]] LoopEnd run(const std::atomic<bool>& asked) noexcept;

private:
    enum class SlotState : std::uint8_t { kernels, ours };

    /// A slot of the in-flight table; its index is the transfers' token.
    struct Slot {
        std::uint32_t generation = 0;
        std::uint32_t length = 0; ///< bytes
        SlotState state = SlotState::kernels;
    };

    [[nodiscard]] bool pass() noexcept;
    [[nodiscard]] std::uint32_t take() noexcept;
    [[nodiscard]] bool accept(const vramswap_sqe& sqe) noexcept;
    [[nodiscard]] std::size_t submit() noexcept;
    [[nodiscard]] std::size_t publish() noexcept;
    void answer(std::uint32_t number, const Completion& completion) noexcept;

    void idle() noexcept;
    void wait_for_lane() noexcept;
    void wait_for_work() noexcept;
    [[nodiscard]] bool meets_work(std::chrono::nanoseconds budget) noexcept;
    int enter(std::uint32_t flags, std::uint32_t spin_us) noexcept;
    void end(policy::EndCause cause, int code) noexcept;
    [[nodiscard]] bool drain() noexcept;

    IoLoopParts parts_;
    std::vector<Slot> table_;
    std::vector<Transfer> waiting_;       ///< taken, not yet accepted by the lane; the first waiting_count_ of them
    std::vector<Completion> completions_; ///< scratch for poll
    std::size_t waiting_count_ = 0;
    std::size_t in_lane_ = 0;            ///< accepted by the lane, not yet completed
    std::size_t untold_ = 0;             ///< CQEs published that the kernel was not told of
    std::uint64_t unanswered_bytes_ = 0; ///< of requests taken, for which there is no CQE yet
    std::uint64_t untold_bytes_ = 0;     ///< of requests whose CQEs the kernel was not told of
    unsigned fruitless_ = 0;             ///< polls in a row that brought nothing
    bool ended_ = false;
    LoopEnd end_;
};

} // namespace vramswap
