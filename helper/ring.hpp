// SPDX-License-Identifier: MIT
// The helper's end of one queue: (3) takes SQEs, (5) publishes CQEs. kmod/ring.h is the kernel's end.
//
// Memory order. Each access below carries its letter; all but (J), which is ours, are those of kmod/ring.h, which holds
// the other half of each pair.
//
// SQEs: the kernel fills the staging slot (for a write) and the SQE, then stores the SQ tail with release (A). We load
// the tail with acquire (B) before we read SQE or staging: whoever sees the tail sees what it announces. The way back
// needs no barrier of its own: a slot's next SQE follows only after our answer to the last one.
//
// CQEs: we fill the staging slot (for a read) and the CQE, then store the CQ tail with release (C). The kernel loads
// the tail with acquire (D) before it reads CQE or staging.
//
// Hand-over: a submitter in the kernel that waits for its request takes CQEs by itself, and says so in the SQ's flags.
// We store the CQ tail (C), then a full barrier (P), then look at the flag (Q); a submitter that leaves takes the flag
// down, then a full barrier, then looks at the CQ tail (M, N, O). One of the two sees the other, so no CQE is left.
//
// Sleep: whether the helper sleeps is a flag of the kernel's own, not a word of shared memory. In ENTER the kernel sets
// it, then a full barrier, then compares the tail with the head that we passed (E, G, I); its publisher stores the
// tail, then a full barrier, then looks at the flag (A, F, H). One of the two sees the other, so no wake-up is lost.
// Our part is only to pass as head what we have really taken, no more (J).
#pragma once

#include <algorithm>
#include <atomic>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "vramswap.h"

namespace vramswap {

/// Verbs over memory that someone else maps and owns; used by one thread. Both counters run modulo 2^32 and start at
/// zero with every session.
class Ring {
public:
    /// `sq` and `cq`: the queue's headers as mapped; `entries`: of each ring, a power of two. The SQ is mapped for
    /// reading only: the pointer lacks const because std::atomic_ref wants it so.
    Ring(std::byte* sq, std::byte* cq, std::uint32_t entries) noexcept
        : sq_tail_(reinterpret_cast<std::uint32_t*>(sq)),
          sq_flags_(reinterpret_cast<std::uint32_t*>(sq + offsetof(vramswap_sq, flags))),
          sqes_(sq + sizeof(vramswap_sq)), cq_tail_(reinterpret_cast<std::uint32_t*>(cq)),
          cqes_(cq + sizeof(vramswap_cq)), entries_(entries) {
        assert(entries != 0 && (entries & (entries - 1)) == 0);
    }

    // (3) The submission queue: peek, read, release.

    /// How many SQEs wait; never more than the ring has.
    [[nodiscard]] std::uint32_t peek() const noexcept {
        const std::uint32_t tail = std::atomic_ref(*sq_tail_).load(std::memory_order_acquire); // (B)
        assert(tail - sq_head_ <= entries_);
        return std::min(tail - sq_head_, entries_);
    }

    /// The n-th waiting SQE; n is less than the last peek.
    [[nodiscard]] vramswap_sqe read(std::uint32_t n) const noexcept {
        vramswap_sqe sqe; // NOLINT(cppcoreguidelines-pro-type-member-init): filled by the copy
        std::memcpy(&sqe, sqes_ + place(sq_head_ + n) * sizeof sqe, sizeof sqe); // after (B)
        return sqe;
    }

    /// The first `count` waiting SQEs are taken.
    void release(std::uint32_t count) noexcept { sq_head_ += count; }

    /// SQEs taken so far, modulo 2^32: what ENTER wants to know (J).
    [[nodiscard]] std::uint32_t head() const noexcept { return sq_head_; }

    // (5) The completion queue: reserve, write, submit.

    /// The number of the first of `count` CQEs to write. There is always room: every slot has one answer under way at
    /// most, and the ring has an entry for every slot.
    [[nodiscard]] std::uint32_t reserve([[maybe_unused]] std::uint32_t count) const noexcept {
        assert(count <= entries_);
        return cq_head_;
    }

    void write(std::uint32_t number, const vramswap_cqe& cqe) noexcept {
        std::memcpy(cqes_ + place(number) * sizeof cqe, &cqe, sizeof cqe); // before (C)
    }

    /// Shows the kernel the first `count` reserved CQEs.
    void submit(std::uint32_t count) noexcept {
        cq_head_ += count;
        std::atomic_ref(*cq_tail_).store(cq_head_, std::memory_order_release); // (C)
    }

    /// After submit: true if the kernel takes what was submitted without an ENTER.
    [[nodiscard]] bool kernel_reaps() const noexcept {
        std::atomic_thread_fence(std::memory_order_seq_cst);                                                  // (P)
        return (std::atomic_ref(*sq_flags_).load(std::memory_order_relaxed) & VRAMSWAP_SQ_KERNEL_REAPS) != 0; // (Q)
    }

private:
    [[nodiscard]] std::size_t place(std::uint32_t number) const noexcept { return number & (entries_ - 1); }

    std::uint32_t* sq_tail_;
    std::uint32_t* sq_flags_;
    std::byte* sqes_;
    std::uint32_t* cq_tail_;
    std::byte* cqes_;
    std::uint32_t entries_;
    std::uint32_t sq_head_ = 0; ///< SQEs taken
    std::uint32_t cq_head_ = 0; ///< CQEs published; our own copy of the tail, which the kernel may not be believed on
};

/// The I/O path's only way into the kernel.
class Doorbell {
public:
    Doorbell() = default;
    Doorbell(const Doorbell&) = delete;
    Doorbell& operator=(const Doorbell&) = delete;
    Doorbell(Doorbell&&) = delete;
    Doorbell& operator=(Doorbell&&) = delete;
    virtual ~Doorbell() = default;

    /// VRAMSWAP_IOC_ENTER: the number of CQEs taken and VRAMSWAP_ENTER_SLEPT, or an errno made negative. `spin_us`: how
    /// long it may wait awake. Any thread may call it for its queue.
    [[nodiscard]] virtual int enter(unsigned queue, std::uint32_t flags, std::uint32_t sq_head,
                                    std::uint32_t spin_us) noexcept = 0;
};

} // namespace vramswap
