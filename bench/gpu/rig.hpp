// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>
#include <deque>
#include <memory>
#include <span>
#include <vector>

#include <helper/engine.hpp>
#include <helper/io_loop.hpp>
#include <helper/io_thread.hpp>

#include "kernel_half.hpp"

namespace vramswap::bench {

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
