// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>
#include <chrono>
#include <deque>
#include <memory>
#include <span>
#include <vector>

#include <helper/config.hpp>
#include <helper/engine.hpp>
#include <helper/io_loop.hpp>
#include <helper/io_thread.hpp>

#include "kernel_half.hpp"

namespace vramswap::bench {

/// How long I/O threads look for work before they sleep: never to sleep while there is anything to do, for what is
/// measured or checked is the engine and not how the kernel's half wakes a thread; and as the helper does, unasked.
inline constexpr std::chrono::microseconds always_look{100'000};
inline const std::chrono::microseconds usual_look = Config{}.spin;

/// A session without a kernel module: the kernel's half of the ring in this process (tests/support/kernel_half.hpp),
/// and for each queue the helper's own loop in the helper's own kind of thread.
class Rig {
public:
    /// Borrows an engine that has its contents. An error is of the engine.
    [[nodiscard]] static Result<std::unique_ptr<Rig>> make(const test::Shape& shape, Engine& engine,
                                                           std::chrono::microseconds spin);

    Rig(const Rig&) = delete;
    Rig& operator=(const Rig&) = delete;
    Rig(Rig&&) = delete;
    Rig& operator=(Rig&&) = delete;
    ~Rig();

    [[nodiscard]] test::KernelQueue& queue(unsigned index) noexcept { return half_.queue(index); }
    [[nodiscard]] const test::Shape& shape() const noexcept { return shape_; }

    /// The I/O threads, as the kernel numbers them.
    [[nodiscard]] std::vector<pid_t> threads() const;

    /// Is the queue's I/O thread there? It ends by itself if its lane can do nothing more; what it has not answered
    /// then is not answered any more.
    [[nodiscard]] bool serves(unsigned index) const noexcept;

    /// Processor time that the I/O threads have used, and nobody else: seconds.
    [[nodiscard]] double cpu_seconds() const noexcept;

private:
    class Worker;

    Rig(const test::Shape& shape, Engine& engine);
    [[nodiscard]] Result<void> start(std::chrono::microseconds spin);

    test::Shape shape_;
    Engine& engine_;
    test::KernelHalf half_;
    std::deque<std::unique_ptr<Worker>> workers_;
};

} // namespace vramswap::bench
