// SPDX-License-Identifier: MIT
// An IoLoop on its thread, between the kernel's half of the ring and an engine.
#pragma once

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <memory>
#include <random>
#include <thread>
#include <vector>

#include <helper/engine.hpp>
#include <helper/io_loop.hpp>

#include "fault_engine.hpp"
#include "kernel_half.hpp"
#include "sanitizers.hpp"

namespace vramswap::test {

/// ENTER of the kernel's half, counted, and watched for the one thing that must never happen.
class CountingDoorbell final : public Doorbell {
public:
    explicit CountingDoorbell(KernelQueue& queue) : queue_(queue) {}

    int enter(unsigned /*queue*/, std::uint32_t flags, std::uint32_t sq_head, std::uint32_t spin_us) noexcept override {
        if (enters.fetch_add(1, std::memory_order_relaxed) == 0 && lane != nullptr)
            submitted_at_first_enter = lane->submitted.load();
        if ((flags & VRAMSWAP_ENTER_WAIT) == 0)
            return queue_.enter(flags, sq_head, spin_us);
        waits.fetch_add(1, std::memory_order_relaxed);
        longest_spin = std::max(longest_spin.load(), spin_us);
        if (lane != nullptr && lane->submitted != lane->ended)
            slept_with_transfers.store(true, std::memory_order_relaxed);
        return queue_.enter(flags, sq_head, spin_us);
    }

    std::atomic<std::uint64_t> enters = 0;
    std::atomic<std::uint64_t> waits = 0;
    std::atomic<std::uint32_t> longest_spin = 0; ///< that ENTER was asked for, µs
    std::atomic<bool> slept_with_transfers = false;
    std::atomic<std::uint64_t> submitted_at_first_enter = 0; ///< the first call; needs `lane`
    const LaneCounters* lane = nullptr;                      ///< set before the loop starts

private:
    KernelQueue& queue_;
};

/// The loop of queue 0, ready to run.
class LoopRig {
public:
    /// Opens the engine. Borrows it.
    LoopRig(const Shape& shape, Engine& engine, std::chrono::microseconds spin = std::chrono::microseconds(100))
        : half(shape), doorbell(half.queue(0)), engine_(engine), lane_(open(shape)), loop(parts(shape, spin)) {}
    LoopRig(const LoopRig&) = delete;
    LoopRig& operator=(const LoopRig&) = delete;
    LoopRig(LoopRig&&) = delete;
    LoopRig& operator=(LoopRig&&) = delete;
    ~LoopRig() {
        (void)stop();
        lane_.reset();
        engine_.unbind();
    }

    /// Returns once the lane has begun: a device goes live after that. A lane that cannot begin leaves the loop's end
    /// as EndCause::engine.
    void start() {
        thread_ = std::thread([this] {
            const bool able = lane_->begin().has_value();
            begun_ = true;
            begun_.notify_one();
            if (able)
                end_ = loop.run(asked);
            else
                end_ = {.cause = policy::EndCause::engine};
        });
        begun_.wait(false);
    }

    /// Ends the session with an errno, joins the thread, and tells how the loop ended.
    LoopEnd stop(int reason = ESHUTDOWN) {
        queue().end(-reason);
        return join();
    }

    LoopEnd join() {
        if (thread_.joinable())
            thread_.join();
        return end_;
    }

    [[nodiscard]] KernelQueue& queue() noexcept { return half.queue(0); }

    KernelHalf half;
    CountingDoorbell doorbell;
    std::atomic<bool> asked = false;

private:
    std::unique_ptr<Lane> open(const Shape& shape) {
        auto bound =
            in_turn([&] { return engine_.open(shape.capacity); }, [&] { return engine_.bind(staging(shape)); });
        if (!bound)
            throw std::runtime_error(bound.error().message);
        return std::move(engine_.lane(0, shape.slots).value());
    }

    [[nodiscard]] std::span<std::byte> staging(const Shape& shape) noexcept {
        return {half.memory() + half.attach().staging.offset, std::size_t{shape.slots} * shape.slot_size};
    }

    IoLoopParts parts(const Shape& shape, std::chrono::microseconds spin) {
        const vramswap_attach& attach = half.attach();
        return {.queue = 0,
                .ring = Ring(half.memory() + attach.sq.offset, half.memory() + attach.cq.offset, attach.ring_entries),
                .kernel = doorbell,
                .lane = *lane_,
                .staging = staging(shape),
                .slots = shape.slots,
                .slot_size = shape.slot_size,
                .spin = policy::Spin(spin, 2),
                .cpus = 2};
    }

    Engine& engine_;
    std::unique_ptr<Lane> lane_;

public:
    IoLoop loop;

private:
    LoopEnd end_;
    std::atomic<bool> begun_ = false;
    std::thread thread_;
};

/// One user of the device: a part of it, and what that part must hold. One request at a time.
class User {
public:
    /// Owns the device's bytes from `offset` on, `blocks` of them; a request is of at most `longest` bytes.
    User(KernelQueue& queue, std::uint64_t offset, std::uint64_t blocks, std::uint32_t longest, std::uint64_t seed)
        : queue_(queue), offset_(offset), longest_(longest), random_(seed), model_(blocks * VRAMSWAP_BLOCK_SIZE),
          known_(blocks, false), data_(longest) {}

    /// Sends the next request if the last one has ended and a tag is free. False if neither is so.
    bool step() noexcept {
        if (busy_ && !done_.load(std::memory_order_acquire))
            return false;
        if (busy_)
            check();
        const auto tag = queue_.take_tag();
        if (!tag)
            return false;
        prepare();
        busy_ = true;
        done_.store(false, std::memory_order_relaxed);
        queue_.send(*tag, request_);
        queue_.doorbell();
        return true;
    }

    /// Waits for the last request.
    void finish() noexcept {
        while (busy_ && !done_.load(std::memory_order_acquire))
            std::this_thread::yield();
        if (busy_)
            check();
    }

    [[nodiscard]] std::uint64_t wrong() const noexcept { return wrong_; }
    [[nodiscard]] std::uint64_t errors() const noexcept { return errors_; }
    [[nodiscard]] std::uint64_t ended() const noexcept { return ended_; }

private:
    static void end(Request& request, unsigned /*tag*/, unsigned status) {
        auto& user = *static_cast<User*>(request.context);
        user.status_ = status;
        user.done_.store(true, std::memory_order_release);
    }

    void prepare() noexcept {
        first_ = random_() % known_.size();
        count_ = 1 + random_() % std::min<std::uint64_t>(known_.size() - first_, longest_ / VRAMSWAP_BLOCK_SIZE);
        request_ = {.offset = offset_ + first_ * VRAMSWAP_BLOCK_SIZE,
                    .length = static_cast<std::uint32_t>(count_ * VRAMSWAP_BLOCK_SIZE),
                    .opcode = static_cast<std::uint8_t>(1 + random_() % 3),
                    .data = data_.data(),
                    .end = end,
                    .context = this};
        if (request_.opcode == VRAMSWAP_OP_WRITE)
            for (std::size_t at = 0; at < request_.length; at += sizeof(std::uint64_t)) {
                const std::uint64_t word = random_();
                std::memcpy(data_.data() + at, &word, sizeof word);
            }
    }

    /// A failed request has moved nothing: the test engine says so.
    void check() noexcept {
        busy_ = false;
        ++ended_;
        if (status_ != VRAMSWAP_STATUS_OK) {
            ++errors_;
            return;
        }
        const std::size_t at = first_ * VRAMSWAP_BLOCK_SIZE;
        if (request_.opcode == VRAMSWAP_OP_READ)
            for (std::uint64_t i = 0; i < count_; ++i)
                wrong_ += known_[first_ + i] && !block_equal(i) ? 1U : 0U;
        else if (request_.opcode == VRAMSWAP_OP_WRITE)
            std::memcpy(model_.data() + at, data_.data(), request_.length);
        else
            std::memset(model_.data() + at, 0, request_.length);
        if (request_.opcode != VRAMSWAP_OP_READ)
            for (std::uint64_t i = 0; i < count_; ++i)
                known_[first_ + i] = true;
    }

    [[nodiscard]] bool block_equal(std::uint64_t i) const noexcept {
        return std::memcmp(model_.data() + (first_ + i) * VRAMSWAP_BLOCK_SIZE, data_.data() + i * VRAMSWAP_BLOCK_SIZE,
                           VRAMSWAP_BLOCK_SIZE) == 0;
    }

    KernelQueue& queue_;
    std::uint64_t offset_;
    std::uint32_t longest_;
    std::mt19937_64 random_;
    std::vector<std::byte> model_;
    std::vector<bool> known_; ///< of each block: written at least once
    std::vector<std::byte> data_;
    Request request_;
    std::uint64_t first_ = 0;
    std::uint64_t count_ = 0;
    unsigned status_ = 0;
    std::atomic<bool> done_ = false;
    bool busy_ = false;
    std::uint64_t wrong_ = 0;
    std::uint64_t errors_ = 0;
    std::uint64_t ended_ = 0;
};

/// What users saw, all together.
struct Tally {
    std::uint64_t wrong = 0;
    std::uint64_t errors = 0;
    std::uint64_t ended = 0;
};

/// Users that share the device evenly, in `threads` threads.
class Crowd {
public:
    Crowd(KernelQueue& queue, const Shape& shape, unsigned threads, unsigned users_per_thread) : threads_(threads) {
        const unsigned count = threads * users_per_thread;
        const std::uint64_t blocks = shape.capacity / VRAMSWAP_BLOCK_SIZE / count;
        for (unsigned i = 0; i < count; ++i)
            users_.push_back(
                std::make_unique<User>(queue, i * blocks * VRAMSWAP_BLOCK_SIZE, blocks, shape.slot_size, i + 1));
    }

    /// Makes `requests` requests and waits for them.
    Tally run(std::uint64_t requests) {
        std::vector<std::thread> threads;
        for (unsigned i = 0; i < threads_; ++i)
            threads.emplace_back([this, i, requests] { work(i, requests / threads_); });
        for (std::thread& thread : threads)
            thread.join();
        return tally();
    }

    /// The same in this thread, which allocates nothing.
    void work(unsigned thread, std::uint64_t requests) noexcept {
        const std::size_t share = users_.size() / threads_;
        for (std::uint64_t sent = 0; sent < requests;) {
            bool any = false;
            for (std::size_t i = 0; i < share && sent < requests; ++i)
                if (users_[thread * share + i]->step()) {
                    any = true;
                    ++sent;
                }
            if (!any)
                std::this_thread::yield();
        }
        for (std::size_t i = 0; i < share; ++i)
            users_[thread * share + i]->finish();
    }

    [[nodiscard]] Tally tally() const noexcept {
        Tally sum;
        for (const auto& user : users_) {
            sum.wrong += user->wrong();
            sum.errors += user->errors();
            sum.ended += user->ended();
        }
        return sum;
    }

private:
    unsigned threads_;
    std::vector<std::unique_ptr<User>> users_;
};

} // namespace vramswap::test
