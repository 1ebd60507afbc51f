// SPDX-License-Identifier: MIT
#include "ring_world.hpp"

#include <cerrno>
#include <thread>

#include <sched.h>

namespace vramswap::test {

std::uint64_t Random::next() noexcept {
    state_ += 0x9e3779b97f4a7c15ULL;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27U)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31U);
}

void dawdle(std::uint64_t steps) noexcept {
    for (; steps != 0; --steps)
        std::atomic_signal_fence(std::memory_order_seq_cst);
}

void Verdict::fail(std::string why) {
    if (!failed_.exchange(true, std::memory_order_relaxed))
        why_ = std::move(why);
}

void World::run(const std::vector<std::function<void()>>& submitters, const std::vector<std::function<void()>>& servers,
                std::chrono::milliseconds patience) {
    std::atomic<std::size_t> running = submitters.size();
    std::vector<std::jthread> threads;

    for (const auto& server : servers)
        threads.emplace_back(server);
    for (const auto& submitter : submitters)
        threads.emplace_back([&running, &submitter] {
            submitter();
            running.fetch_sub(1, std::memory_order_relaxed);
        });

    // Time is counted in looks, so that a process that was stopped for a while has not lost its patience.
    constexpr auto look = std::chrono::milliseconds(5);
    std::uint64_t seen = 0;
    std::chrono::milliseconds still{0};
    while (running.load(std::memory_order_relaxed) != 0) {
        std::this_thread::sleep_for(look);
        const std::uint64_t now = progress.load(std::memory_order_relaxed);
        still = now == seen ? still + look : std::chrono::milliseconds(0);
        seen = now;
        if (still > patience) {
            verdict.fail("nothing moves any more: a wake-up or a completion was lost");
            break;
        }
    }
    stop.store(true, std::memory_order_relaxed);
    queue().end(-ESHUTDOWN);
}

Shape small_shape() {
    return {.slots = 4, .slot_size = VRAMSWAP_BLOCK_SIZE, .capacity = VRAMSWAP_MIN_CAPACITY};
}

void stay_on_processor(unsigned index) {
    cpu_set_t allowed;
    CPU_ZERO(&allowed);
    if (::sched_getaffinity(0, sizeof allowed, &allowed) != 0 || CPU_COUNT(&allowed) == 0)
        return;
    unsigned skip = index % static_cast<unsigned>(CPU_COUNT(&allowed));
    for (unsigned cpu = 0; cpu < CPU_SETSIZE; ++cpu)
        if (CPU_ISSET(cpu, &allowed) && skip-- == 0) {
            cpu_set_t one;
            CPU_ZERO(&one);
            CPU_SET(cpu, &one);
            ::sched_setaffinity(0, sizeof one, &one);
            return;
        }
}

} // namespace vramswap::test
