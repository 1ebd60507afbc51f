// SPDX-License-Identifier: MIT
#include "rig.hpp"

#include <cerrno>
#include <ctime>

#include <pthread.h>
#include <unistd.h>

#include <fmt/format.h>

namespace vramswap::bench {

/// One queue's lane, loop and thread.
class Rig::Worker final : public IoThread::Body, public Doorbell {
public:
    Worker(test::KernelHalf& half, const test::Shape& shape, unsigned index, std::unique_ptr<Lane> lane,
           std::chrono::microseconds spin)
        : queue_(half.queue(index)), lane_(std::move(lane)), loop_(parts(half, shape, index, spin)) {}

    [[nodiscard]] Result<void> start(unsigned index) {
        if (auto started = thread_.start(fmt::format("bench-io{}", index), *this); !started)
            return started;
        tid_.wait(0);
        return std::move(begun_);
    }

    void stop() noexcept {
        queue_.end(-ESHUTDOWN);
        thread_.join();
    }

    [[nodiscard]] pid_t tid() const noexcept { return tid_; }
    [[nodiscard]] bool serves() const noexcept { return serves_.load(std::memory_order_acquire); }

    [[nodiscard]] double cpu_seconds() const noexcept {
        timespec used{};
        if (::clock_gettime(clock_, &used) != 0)
            return 0;
        return static_cast<double>(used.tv_sec) + static_cast<double>(used.tv_nsec) / 1e9;
    }

    void run() noexcept override {
        (void)::pthread_getcpuclockid(::pthread_self(), &clock_);
        begun_ = lane_->begin();
        const bool able = begun_.has_value();
        serves_ = able;
        tid_ = ::gettid();
        tid_.notify_one();
        if (able)
            (void)loop_.run(never_);
        serves_.store(false, std::memory_order_release);
    }

    int enter(unsigned /*queue*/, std::uint32_t flags, std::uint32_t sq_head, std::uint32_t spin_us) noexcept override {
        return queue_.enter(flags, sq_head, spin_us);
    }

private:
    IoLoopParts parts(test::KernelHalf& half, const test::Shape& shape, unsigned index,
                      std::chrono::microseconds spin) {
        const vramswap_attach& attach = half.attach();
        const std::size_t staging = std::size_t{shape.slots} * shape.slot_size;
        return {.queue = index,
                .ring = Ring(half.memory() + attach.sq.offset + index * attach.sq_stride,
                             half.memory() + attach.cq.offset + index * attach.cq_stride, attach.ring_entries),
                .kernel = *this,
                .lane = *lane_,
                .staging = {half.memory() + attach.staging.offset + index * staging, staging},
                .slots = shape.slots,
                .slot_size = shape.slot_size,
                .spin = policy::Spin(spin, 2),
                .cpus = 2};
    }

    test::KernelQueue& queue_;
    std::unique_ptr<Lane> lane_;
    IoLoop loop_;
    Result<void> begun_;
    std::atomic<pid_t> tid_ = 0;
    clockid_t clock_ = 0; ///< of the thread's processor time; there once tid_ is
    std::atomic<bool> serves_ = false;
    std::atomic<bool> never_ = false;
    IoThread thread_;
};

Rig::Rig(const test::Shape& shape, Engine& engine) : shape_(shape), engine_(engine), half_(shape) {}

Rig::~Rig() {
    for (const auto& worker : workers_)
        worker->stop();
    workers_.clear();
    engine_.unbind();
}

Result<void> Rig::start(std::chrono::microseconds spin) {
    const vramswap_region& staging = half_.attach().staging;
    if (auto bound = engine_.bind({half_.memory() + staging.offset, staging.size}); !bound)
        return bound;
    for (unsigned index = 0; index < shape_.queues; ++index) {
        auto lane = engine_.lane(index, shape_.slots);
        if (!lane)
            return pass_on(lane);
        workers_.push_back(std::make_unique<Worker>(half_, shape_, index, std::move(*lane), spin));
    }
    for (unsigned index = 0; index < shape_.queues; ++index)
        if (auto started = workers_[index]->start(index); !started)
            return started;
    return {};
}

Result<std::unique_ptr<Rig>> Rig::make(const test::Shape& shape, Engine& engine, std::chrono::microseconds spin) {
    std::unique_ptr<Rig> rig(new Rig(shape, engine));
    if (auto started = rig->start(spin); !started)
        return pass_on(started);
    return rig;
}

std::vector<pid_t> Rig::threads() const {
    std::vector<pid_t> tids;
    tids.reserve(workers_.size());
    for (const auto& worker : workers_)
        tids.push_back(worker->tid());
    return tids;
}

bool Rig::serves(unsigned index) const noexcept {
    return workers_[index]->serves();
}

double Rig::cpu_seconds() const noexcept {
    double all = 0;
    for (const auto& worker : workers_)
        all += worker->cpu_seconds();
    return all;
}

} // namespace vramswap::bench
