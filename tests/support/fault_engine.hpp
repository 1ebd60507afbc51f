// SPDX-License-Identifier: MIT
// An engine that does to its caller what real ones may: answers late and out of order, accepts less than it is given,
// fails single transfers, dies. Its store is plain memory, and bytes move at the last moment that the interface allows:
// when poll says so. Until then a read's staging holds rubbish.
#pragma once

#include <atomic>
#include <cstdint>
#include <limits>
#include <random>
#include <vector>

#include <helper/engine.hpp>

namespace vramswap::test {

/// What goes wrong, and how often. "one in n" is by chance; 0 is never.
struct Faults {
    std::uint64_t seed = 1;
    unsigned shortest_delay = 0;                                          ///< polls until a transfer may end, at least
    unsigned longest_delay = 0;                                           ///< and at most
    bool reorder = false;                                                 ///< ended transfers come in any order
    unsigned accept_at_most = std::numeric_limits<unsigned>::max();       ///< of one submit
    unsigned refuse_one_in = 0;                                           ///< submits that accept nothing
    unsigned io_error_one_in = 0;                                         ///< transfers; their bytes do not move
    unsigned lost_one_in = 0;                                             ///< reads
    std::uint64_t die_after = std::numeric_limits<std::uint64_t>::max();  ///< transfers ended: then failed() is true
    std::uint64_t hang_after = std::numeric_limits<std::uint64_t>::max(); ///< transfers ended: then no more end
};

/// What a lane saw. Written by the lane's thread, read by any.
struct LaneCounters {
    std::atomic<std::uint64_t> submitted = 0;
    std::atomic<std::uint64_t> ended = 0;
    std::atomic<std::uint64_t> polls = 0;
};

class FaultLane final : public Lane {
public:
    /// Borrows the store and the counters. `depth`: transfers in flight at most.
    FaultLane(std::span<std::byte> store, unsigned depth, const Faults& faults, LaneCounters& counters);

    std::size_t submit(std::span<const Transfer> transfers) noexcept override;
    std::size_t poll(std::span<Completion> completions) noexcept override;
    [[nodiscard]] bool failed() const noexcept override;

private:
    struct Pending {
        Transfer transfer;
        unsigned delay = 0; ///< polls that it still takes
    };

    [[nodiscard]] bool one_in(unsigned n) noexcept { return n != 0 && random_() % n == 0; }
    [[nodiscard]] Status carry_out(const Transfer& transfer) noexcept;
    void end(std::size_t index, Completion& completion) noexcept;

    std::span<std::byte> store_;
    Faults faults_;
    LaneCounters& counters_;
    std::minstd_rand random_;
    std::vector<Pending> pending_; ///< the first count_, in the order of their submission
    std::size_t count_ = 0;
};

class FaultEngine final : public Engine {
public:
    explicit FaultEngine(const Faults& faults) : faults_(faults) {}

    [[nodiscard]] std::string label() const override { return "fault-injecting test engine"; }
    [[nodiscard]] Result<void> open(std::uint64_t capacity) override;
    [[nodiscard]] Result<void> adopt(std::uint64_t capacity, std::vector<InheritedFd>& inherited) override;
    [[nodiscard]] std::vector<KeptFd> kept() const override { return {}; }
    [[nodiscard]] Result<void> bind(std::span<std::byte> staging) override;
    void unbind() noexcept override {}
    [[nodiscard]] Result<std::unique_ptr<Lane>> lane(unsigned queue, unsigned depth) override;

    [[nodiscard]] std::span<std::byte> store() noexcept { return store_; }
    [[nodiscard]] const LaneCounters& counters() const noexcept { return counters_; }

private:
    Faults faults_;
    std::vector<std::byte> store_;
    LaneCounters counters_; ///< of all lanes together
};

} // namespace vramswap::test
