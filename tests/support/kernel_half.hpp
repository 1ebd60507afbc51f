// SPDX-License-Identifier: MIT
// The kernel's half of a session in user space: kmod/ring.h's own lines, and around them a model of what kmod/queue.c,
// reap.c, spin.c and enter.c do with requests, slots and a sleeping helper.
//
// The shared memory is a memfd laid out as ATTACH tells it, so that another process can map it and be driven through
// it; whoever carries its ENTERs over calls KernelQueue::enter. Within one process the helper's side must use this
// object's own mapping: ThreadSanitizer knows memory by its address.
//
// Nothing here orders more than the kernel does, or it would hide what the ring lacks: locks are test-and-set spin
// locks whose release is a plain store on x86, tags are a bitmap, sleeping is a futex on the ring's own word.
#pragma once

#include <kmod/ring.h>

#include <helper/fd.hpp>
#include <helper/mapping.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

namespace vramswap::test {

/// How a session looks and where its counters start (the kernel's start at zero).
struct Shape {
    unsigned queues = 1;
    unsigned slots = 16;                    ///< of each queue
    std::uint32_t slot_size = 4 * 4096;     ///< bytes
    std::uint64_t capacity = 256ULL * 4096; ///< bytes
    std::uint32_t first_index = 0;          ///< where the 32-bit tails and heads of all rings start
    std::uint32_t first_generation = 0;     ///< of every slot, below 2^31
};

/// How a thread waits for another one without being told: a number of looks, then naps. (sched_yield would put it
/// behind all else that a busy machine does.)
class Backoff {
public:
    explicit Backoff(unsigned looks = 1000) noexcept : looks_(looks) {}

    /// To be called after each look that was in vain.
    void wait() noexcept;

private:
    unsigned looks_;
};

/// A spin lock as the kernel's: acquire to take, release to drop, no more.
class SpinLock {
public:
    void lock() noexcept;
    void unlock() noexcept { locked_.store(false, std::memory_order_release); }

private:
    std::atomic<bool> locked_ = false;
};

/// What a queue is asked for. The caller's again from the call of `end`, which comes once, from a thread that reaps.
struct Request {
    std::uint64_t offset = 0;  ///< into the device, bytes
    std::uint32_t length = 0;  ///< bytes
    std::uint8_t opcode = 0;   ///< enum vramswap_opcode
    std::byte* data = nullptr; ///< `length` bytes of the caller's; none for WRITE_ZEROES
    void (*end)(Request& request, unsigned tag, unsigned status) = nullptr;
    void* context = nullptr; ///< the caller's own
};

/// How often what has happened; a moment's view, each exact once all threads have stopped.
struct Counters {
    std::uint64_t submitted;
    std::uint64_t reaped;
    std::uint64_t sleeps; ///< how often the sleeper's flag went up
    std::uint64_t wakes;  ///< how often a doorbell found it up and took it down
};

/// One queue. send, doorbell and the tags from any threads; enter and reap from any threads, but one waiter at a time.
class KernelQueue {
public:
    /// `map` has a bit for each block of the device.
    KernelQueue(const Shape& shape, std::byte* sq, std::byte* cq, std::byte* staging, std::atomic<std::uint64_t>* map);

    /// Takes a free tag, which is a slot's index, or none.
    [[nodiscard]] std::optional<unsigned> take_tag() noexcept;

    /// (1)(2) Copies a write into the tag's slot and publishes its SQE. The tag is free again once `end` has returned.
    /// Returns the generation that the slot went out with.
    std::uint32_t send(unsigned tag, Request& request) noexcept;

    /// Wakes the helper if it sleeps; true if so. To be called after one or more sends.
    bool doorbell() noexcept;

    /// Waits, for so many looks, for what was sent in this slot with this generation, and takes what is there, as
    /// kmod/spin.c does. The request may have ended already.
    void spin(unsigned tag, std::uint32_t generation, unsigned looks) noexcept;

    /// ENTER, with its flags, result (CQEs taken and VRAMSWAP_ENTER_SLEPT, or a negative errno) and order: (6), unless
    /// a submitter waits awake, then the wait.
    int enter(std::uint32_t flags, std::uint32_t sq_head, std::uint32_t spin_us = 0) noexcept;

    /// (6) alone: ends what is ready. The number of CQEs taken, or -EBADMSG, with which the session has ended.
    int reap() noexcept;

    /// Ends the session: a sleeper returns, every later ENTER fails with `reason`, a negative errno.
    void end(int reason) noexcept;

    /// Ends the requests that a session which is over has left behind, with an I/O error. No other thread is here.
    void fail_rest() noexcept;

    [[nodiscard]] Counters counters() const noexcept;

    /// The ring itself, for tests that call its verbs.
    [[nodiscard]] vs_ring& ring() noexcept { return ring_; }

private:
    struct Slot {
        u32 owner = 0;
        Request* request = nullptr; ///< plain, as all that a claim must make visible
    };
    struct Done {
        Request* request;
        unsigned tag;
        unsigned status;
    };
    static constexpr std::size_t batch_size = 32;
    using Batch = std::array<Done, batch_size>;

    void free_tag(unsigned tag) noexcept;
    void mark_written(const Request& request) noexcept;
    [[nodiscard]] std::byte* slot_memory(unsigned tag) const noexcept;
    int claim(vramswap_cqe cqe, Done& done) noexcept;
    int claim_batch(Batch& batch, std::size_t& count) noexcept;
    void end_requests(const Batch& batch, std::size_t count) noexcept;
    bool meets_work(std::uint32_t sq_head, std::uint32_t spin_us) noexcept;
    bool wait(std::uint32_t sq_head) noexcept;

    vs_ring ring_{};
    std::byte* staging_;
    std::uint32_t slot_size_;
    std::atomic<std::uint64_t>* map_;
    std::vector<Slot> slots_;
    std::vector<std::atomic<std::uint64_t>> free_tags_; ///< a set bit is a free tag
    std::atomic<int> end_ = 0;
    std::atomic<bool> spinning_ = false;

    alignas(64) SpinLock submit_lock_; ///< the ring's SQ side
    alignas(64) SpinLock reap_lock_;   ///< the ring's CQ side
    alignas(64) std::atomic<std::uint64_t> submitted_ = 0;
    std::atomic<std::uint64_t> wakes_ = 0;
    alignas(64) std::atomic<std::uint64_t> reaped_ = 0;
    std::atomic<std::uint64_t> sleeps_ = 0;
};

/// A session: its memory and its queues. Throws std::system_error if the memory cannot be had.
class KernelHalf {
public:
    explicit KernelHalf(const Shape& shape);

    /// As ATTACH fills it. The regions' offsets are offsets into fd() and into memory() alike.
    [[nodiscard]] const vramswap_attach& attach() const noexcept { return attach_; }
    [[nodiscard]] int fd() const noexcept { return fd_.get(); }
    [[nodiscard]] std::byte* memory() const noexcept { return mapping_.bytes().data(); }
    [[nodiscard]] KernelQueue& queue(unsigned index) noexcept { return queues_[index]; }

private:
    vramswap_attach attach_{};
    Fd fd_;
    Mapping mapping_;
    std::deque<KernelQueue> queues_;
};

} // namespace vramswap::test
