// SPDX-License-Identifier: MIT
// What the ring's scenarios share: a session to play in, an independent record of who owns what, a watchdog.
//
// No scenario uses the unit-test framework, so that the mutation programs (ring_mutants.cpp) can run the same ones.
// Nothing here makes an edge between threads, as long as all is well, that the ring does not make: records are plain or
// relaxed, so that ThreadSanitizer judges the ring alone.
#pragma once

#include "kernel_half.hpp"

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <thread>
#include <vector>

namespace vramswap::test {

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define VRAMSWAP_TEST_THREAD_SANITIZER
#endif
#endif

/// By what numbers of rounds are divided, so that all ends within half a minute of two slow processors' time.
#if defined(__SANITIZE_THREAD__) || defined(VRAMSWAP_TEST_THREAD_SANITIZER)
inline constexpr std::uint64_t slowdown = 20;
#elif defined(__SANITIZE_ADDRESS__)
inline constexpr std::uint64_t slowdown = 4;
#else
inline constexpr std::uint64_t slowdown = 1;
#endif

/// A small generator of random numbers, a thread's own (splitmix64: Steele, Lea, Flood 2014).
class Random {
public:
    explicit Random(std::uint64_t seed) noexcept : state_(seed) {}
    std::uint64_t next() noexcept;
    /// 0 to bound - 1.
    std::uint64_t below(std::uint64_t bound) noexcept { return next() % bound; }
    bool one_in(std::uint64_t n) noexcept { return below(n) == 0; }

private:
    std::uint64_t state_;
};

/// Does nothing for about `steps` nanoseconds.
void dawdle(std::uint64_t steps) noexcept;

/// How long to go on: so many rounds, or so long, whichever is over first. Where others use the processors a hand-over
/// between threads takes a thousand times as long as where they do not.
class Budget {
public:
    Budget(std::uint64_t rounds, std::chrono::milliseconds longest)
        : rounds_(rounds), end_(std::chrono::steady_clock::now() + longest) {}

    [[nodiscard]] bool spent(std::uint64_t rounds) const noexcept {
        return rounds >= rounds_ || (rounds % 64 == 63 && std::chrono::steady_clock::now() > end_);
    }

private:
    std::uint64_t rounds_;
    std::chrono::steady_clock::time_point end_;
};

/// How a scenario went: well, or the first reason why not. Any thread may fail it; why() once they have been joined.
class Verdict {
public:
    void fail(std::string why);
    [[nodiscard]] bool ok() const noexcept { return !failed_.load(std::memory_order_relaxed); }
    [[nodiscard]] const std::string& why() const noexcept { return why_; }

private:
    std::atomic<bool> failed_ = false;
    std::string why_;
};

/// Who owns each slot, told by the scenario and not by the ring. The words are plain: were a slot ever two sides' at
/// once, ThreadSanitizer would see a race besides.
class OwnerTable {
public:
    OwnerTable(unsigned slots, Verdict& verdict) : helpers_(slots, false), verdict_(&verdict) {}

    void kernel_gives(unsigned slot) { pass(slot, false, "the kernel sends a slot that is out"); }
    void helper_gives(unsigned slot) { pass(slot, true, "the helper answers for a slot that is not out"); }
    void expect_kernels(unsigned slot) { expect(slot, false, "a request ended, but its slot is the helper's"); }
    void expect_helpers(unsigned slot) { expect(slot, true, "an SQE names a slot that is not the helper's"); }

private:
    void expect(unsigned slot, bool helpers, const char* otherwise) {
        if ((helpers_[slot] != 0) != helpers)
            verdict_->fail(otherwise);
    }
    void pass(unsigned slot, bool helpers, const char* otherwise) {
        expect(slot, helpers, otherwise);
        helpers_[slot] = helpers ? 0 : 1;
    }

    std::vector<unsigned char> helpers_;
    Verdict* verdict_;
};

/// One session with one queue, and the threads that use it.
struct World {
    explicit World(const Shape& wanted) : shape(wanted), kernel(wanted), owners(wanted.slots, verdict) {}

    [[nodiscard]] KernelQueue& queue() noexcept { return kernel.queue(0); }
    [[nodiscard]] std::byte* sq() const noexcept { return kernel.memory() + kernel.attach().sq.offset; }
    [[nodiscard]] std::byte* cq() const noexcept { return kernel.memory() + kernel.attach().cq.offset; }
    [[nodiscard]] std::byte* staging(unsigned slot) const noexcept {
        return kernel.memory() + kernel.attach().staging.offset + std::size_t{slot} * shape.slot_size;
    }
    [[nodiscard]] bool goes_on() const noexcept { return !stop.load(std::memory_order_relaxed) && verdict.ok(); }
    void moved() noexcept { progress.fetch_add(1, std::memory_order_relaxed); }

    /// Runs all threads until the submitters have returned, then ends the session, which brings the servers home. Fails
    /// the verdict and ends all if nothing moved for `patience`.
    void run(const std::vector<std::function<void()>>& submitters, const std::vector<std::function<void()>>& servers,
             std::chrono::milliseconds patience);

    Shape shape;
    KernelHalf kernel;
    Verdict verdict;
    OwnerTable owners;
    std::atomic<bool> stop = false;
    std::atomic<std::uint64_t> progress = 0;
};

/// One queue of four slots of a page.
Shape small_shape();

/// Keeps the calling thread on one of the processors that it may use; `index` picks which.
void stay_on_processor(unsigned index);

/// Where two threads meet. Waits without a locked instruction, which would be a barrier of its own, and long enough to
/// be there when the other gets its processor back: only while both run is there anything to see.
class Meeting {
public:
    explicit Meeting(const World& world) : world_(&world) {}

    /// Returns once both are here for the same time, false if the scenario is over. `me`: 0 or 1.
    bool wait(unsigned me) noexcept {
        const std::uint64_t times = arrivals_[me].times.load(std::memory_order_relaxed) + 1;
        arrivals_[me].times.store(times, std::memory_order_release);
        for (unsigned looks = 0; arrivals_[1 - me].times.load(std::memory_order_acquire) < times; ++looks) {
            if (!world_->goes_on())
                return false;
            if (looks > patience)
                std::this_thread::sleep_for(std::chrono::microseconds(20));
        }
        return true;
    }

private:
    static constexpr unsigned patience = 100'000 / slowdown;
    struct alignas(64) Arrival {
        std::atomic<std::uint64_t> times = 0;
    };
    const World* world_;
    std::array<Arrival, 2> arrivals_;
};

} // namespace vramswap::test
