// SPDX-License-Identifier: MIT
// Checksums over a store that does with its bytes what a test says.
#include "catch.hpp"

#include <algorithm>
#include <array>
#include <deque>
#include <optional>
#include <random>
#include <vector>

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <unistd.h>

#include <helper/checksum_engine.hpp>
#include <helper/checksum_lane.hpp>
#include <helper/host_engine.hpp>

#include "vramswap.h"

using namespace vramswap;

namespace {

constexpr std::size_t block = VRAMSWAP_BLOCK_SIZE;
constexpr std::uint64_t capacity = 64 * block;
constexpr unsigned depth = 8;

using Bytes = std::vector<std::byte>;

/// Keeps what it is given until a test lets it end.
class SlowLane final : public Lane {
public:
    explicit SlowLane(Bytes& store) : store_(store) {}

    std::size_t submit(std::span<const Transfer> transfers) noexcept override {
        const std::size_t taken = std::min(transfers.size(), takes);
        pending.insert(pending.end(), transfers.begin(), transfers.begin() + static_cast<std::ptrdiff_t>(taken));
        return taken;
    }

    std::size_t poll(std::span<Completion> completions) noexcept override {
        std::size_t count = 0;
        while (count < completions.size() && count < ends && !pending.empty()) {
            const std::size_t which = random_() % (shuffled ? pending.size() : 1);
            carry_out(pending[which]);
            completions[count++] = {.token = pending[which].token, .status = answers};
            pending.erase(pending.begin() + static_cast<std::ptrdiff_t>(which));
        }
        return count;
    }

    [[nodiscard]] bool failed() const noexcept override { return false; }

    std::deque<Transfer> pending;
    std::size_t takes = depth; ///< of one submit
    std::size_t ends = depth;  ///< in one poll
    Status answers = Status::ok;
    bool shuffled = false;
    unsigned flips = 0; ///< so many reads are given a wrong bit, on the way

private:
    void carry_out(const Transfer& transfer) {
        if (transfer.offset > store_.size() || transfer.length > store_.size() - transfer.offset)
            return;
        std::byte* const place = store_.data() + transfer.offset;
        if (transfer.op == Op::write_zeroes)
            std::fill_n(place, transfer.length, std::byte{0});
        else if (transfer.op == Op::write)
            std::copy_n(transfer.staging, transfer.length, place);
        else
            std::copy_n(place, transfer.length, transfer.staging);
        if (transfer.op == Op::read && flips != 0) {
            --flips;
            transfer.staging[transfer.length / 2] ^= std::byte{0x10};
        }
    }

    Bytes& store_;
    std::minstd_rand random_{7};
};

struct Rig {
    Rig() {
        auto made = BlockSums::make(capacity);
        REQUIRE(made.has_value());
        sums.emplace(std::move(*made));
        auto slow = std::make_unique<SlowLane>(store);
        inner = slow.get();
        lane.emplace(std::move(slow), *sums, depth, [this](std::uint64_t wrong) { damage.push_back(wrong); });
    }

    Transfer transfer(Op op, std::uint64_t first, std::size_t blocks, std::uint32_t token) {
        return {.offset = first * block,
                .staging = op == Op::write_zeroes ? nullptr : slots[token].data(),
                .length = static_cast<std::uint32_t>(blocks * block),
                .token = token,
                .op = op};
    }

    void submit(const Transfer& one) { REQUIRE(lane->submit({&one, 1}) == 1); }

    void write(std::uint64_t first, std::size_t blocks, std::uint32_t token, unsigned content) {
        std::ranges::fill(slots[token], static_cast<std::byte>(content));
        submit(transfer(Op::write, first, blocks, token));
    }

    /// All that ends in so many polls.
    std::vector<Completion> ended(unsigned polls = 4) {
        std::vector<Completion> all;
        std::array<Completion, depth> some{};
        for (unsigned i = 0; i < polls; ++i) {
            const std::size_t count = lane->poll(some);
            all.insert(all.end(), some.begin(), some.begin() + static_cast<std::ptrdiff_t>(count));
        }
        return all;
    }

    /// The one transfer's end.
    Status carry_out(const Transfer& one) {
        submit(one);
        const auto all = ended();
        REQUIRE(all.size() == 1);
        REQUIRE(all.front().token == one.token);
        return all.front().status;
    }

    Bytes store = Bytes(capacity);
    std::array<Bytes, depth> slots = [] {
        std::array<Bytes, depth> all;
        all.fill(Bytes(16 * block));
        return all;
    }();
    std::vector<std::uint64_t> damage;
    std::optional<BlockSums> sums;
    SlowLane* inner = nullptr;
    std::optional<ChecksumLane> lane; ///< borrows all others
};

constexpr std::byte some_bit{0x04};

TEST_CASE("a bit that flips in the store fails the read, which is told of, and no other") {
    Rig rig;
    rig.write(8, 16, 0, 0x33);
    REQUIRE(rig.ended().size() == 1);
    rig.store[(8 + 5) * block + 77] ^= some_bit;
    REQUIRE(rig.carry_out(rig.transfer(Op::read, 8, 16, 1)) == Status::io_error);
    REQUIRE(rig.damage == std::vector<std::uint64_t>{8 + 5});
    REQUIRE(rig.carry_out(rig.transfer(Op::read, 8, 5, 1)) == Status::ok);
    REQUIRE(rig.carry_out(rig.transfer(Op::read, 14, 10, 1)) == Status::ok);
    rig.write(13, 1, 0, 0x34); // new bytes are new luck
    REQUIRE(rig.ended().front().status == Status::ok);
    REQUIRE(rig.carry_out(rig.transfer(Op::read, 8, 16, 1)) == Status::ok);
    REQUIRE(rig.damage.size() == 1);
}

TEST_CASE("a bit that flips on the way from the store is there at the second try") {
    Rig rig;
    rig.write(0, 4, 0, 0x33);
    REQUIRE(rig.ended().size() == 1);
    rig.inner->flips = 1;
    REQUIRE(rig.carry_out(rig.transfer(Op::read, 0, 4, 1)) == Status::ok);
    REQUIRE(std::equal(rig.slots[1].begin(), rig.slots[1].begin() + 4 * block, rig.store.begin()));
    REQUIRE(rig.damage.empty());
    rig.inner->flips = 2;
    REQUIRE(rig.carry_out(rig.transfer(Op::read, 0, 4, 1)) == Status::ok);
    rig.inner->flips = 3;
    REQUIRE(rig.carry_out(rig.transfer(Op::read, 0, 4, 1)) == Status::io_error);
    REQUIRE(rig.damage.size() == 1);
    rig.inner->flips = 1; // each request has its own tries
    REQUIRE(rig.carry_out(rig.transfer(Op::read, 0, 4, 1)) == Status::ok);
}

TEST_CASE("a second try waits until the store takes it") {
    Rig rig;
    rig.write(0, 1, 0, 0x33);
    REQUIRE(rig.ended().size() == 1);
    rig.inner->flips = 1;
    rig.submit(rig.transfer(Op::read, 0, 1, 1));
    rig.inner->takes = 0;
    REQUIRE(rig.ended(20).empty());
    rig.inner->takes = 1;
    REQUIRE(rig.ended().size() == 1);
    REQUIRE(rig.slots[1].front() == std::byte{0x33});
}

TEST_CASE("zeroes have a checksum too, and what was never written has none") {
    Rig rig;
    rig.store[0] = some_bit;
    REQUIRE(rig.carry_out(rig.transfer(Op::read, 0, 1, 1)) == Status::ok);
    REQUIRE(rig.carry_out(rig.transfer(Op::write_zeroes, 0, 64, 2)) == Status::ok);
    REQUIRE(rig.carry_out(rig.transfer(Op::read, 48, 16, 1)) == Status::ok);
    rig.store[50 * block] = some_bit;
    REQUIRE(rig.carry_out(rig.transfer(Op::read, 48, 16, 1)) == Status::io_error);
}

TEST_CASE("a read beside a write of the same block may see either") {
    Rig rig;
    rig.write(3, 1, 0, 1);
    REQUIRE(rig.ended().size() == 1);
    SECTION("the read begins first") {
        rig.submit(rig.transfer(Op::read, 3, 1, 1));
        rig.write(3, 1, 2, 2);
        std::swap(rig.inner->pending[0], rig.inner->pending[1]); // the store writes, then reads
    }
    SECTION("the write begins first") {
        rig.write(3, 1, 2, 2);
        rig.submit(rig.transfer(Op::read, 3, 1, 1));
        std::swap(rig.inner->pending[0], rig.inner->pending[1]);
    }
    const auto all = rig.ended();
    REQUIRE(all.size() == 2);
    REQUIRE(std::ranges::all_of(all, [](const Completion& one) { return one.status == Status::ok; }));
    REQUIRE(rig.damage.empty());
    rig.store[3 * block] ^= some_bit; // and afterwards it is known again
    REQUIRE(rig.carry_out(rig.transfer(Op::read, 3, 1, 1)) == Status::io_error);
}

TEST_CASE("of two writes of the same block at once nobody knows which stays") {
    Rig rig;
    rig.write(3, 1, 0, 1);
    rig.write(3, 1, 1, 2);
    std::swap(rig.inner->pending[0], rig.inner->pending[1]);
    REQUIRE(rig.ended().size() == 2);
    REQUIRE(rig.sums->at(3) == BlockSums::unknown);
    REQUIRE(rig.carry_out(rig.transfer(Op::read, 3, 1, 2)) == Status::ok);
    rig.write(3, 1, 0, 3);
    REQUIRE(rig.ended().size() == 1);
    REQUIRE(BlockSums::is_sum(rig.sums->at(3)));
}

TEST_CASE("what the store does not take yet waits in its order, and is marked once") {
    Rig rig;
    std::vector<Transfer> some;
    for (std::uint32_t i = 0; i < depth; ++i)
        some.push_back(rig.transfer(Op::write, i % 4, 1, i));
    rig.inner->takes = 0;
    REQUIRE(rig.lane->submit(some) == depth);
    REQUIRE(rig.lane->submit(some) == 0); // there is no room
    REQUIRE(rig.ended(100).empty());
    for (std::uint64_t i = 0; i < 4; ++i)
        REQUIRE(rig.sums->at(i) == 3); // two writes
    rig.inner->takes = 1;
    const auto all = rig.ended(3 * depth);
    REQUIRE(all.size() == depth);
    for (std::uint32_t i = 0; i < depth; ++i)
        REQUIRE(all[i].token == i);
    for (std::uint64_t i = 0; i < 4; ++i)
        REQUIRE(rig.sums->at(i) == BlockSums::unknown);
    rig.inner->takes = depth;
    REQUIRE(rig.lane->submit(std::span(some).first(4)) == 4); // no slot was lost
    REQUIRE(rig.ended().size() == 4);
    for (std::uint64_t i = 0; i < 4; ++i)
        REQUIRE(BlockSums::is_sum(rig.sums->at(i)));
}

TEST_CASE("a write that failed, or was never answered, leaves nothing known") {
    Rig rig;
    rig.write(1, 2, 0, 9);
    REQUIRE(rig.ended().size() == 1);
    rig.inner->answers = Status::io_error;
    rig.write(1, 1, 0, 9);
    REQUIRE(rig.ended().front().status == Status::io_error);
    REQUIRE(rig.sums->at(1) == BlockSums::unknown);
    REQUIRE(BlockSums::is_sum(rig.sums->at(2)));
    rig.write(2, 1, 0, 9);
    rig.lane.reset();
    REQUIRE(rig.sums->at(2) == BlockSums::unknown);
}

TEST_CASE("requests that are not of whole blocks, or beyond the end, are the store's to refuse") {
    Rig rig;
    rig.inner->answers = Status::io_error;
    const auto answer = [&](std::uint64_t offset, std::uint32_t length) {
        return rig.carry_out(
            {.offset = offset, .staging = rig.slots[0].data(), .length = length, .token = 0, .op = Op::write});
    };
    REQUIRE(answer(capacity, block) == Status::io_error);
    REQUIRE(answer(capacity - block, 2 * block) == Status::io_error);
    REQUIRE(answer(~std::uint64_t{0} - 4095, block) == Status::io_error);
    REQUIRE(answer(512, block) == Status::io_error);
    REQUIRE(answer(0, 512) == Status::io_error);
    for (std::uint64_t i = 0; i < rig.sums->size(); ++i)
        REQUIRE(rig.sums->at(i) == BlockSums::unknown);
}

TEST_CASE("random requests that overlap as they like never fail on a sound store, and end as they began") {
    Rig rig;
    rig.inner->shuffled = true;
    rig.inner->ends = 2;
    std::mt19937 random(20);
    std::vector<std::uint32_t> idle(depth);
    for (std::uint32_t i = 0; i < depth; ++i)
        idle[i] = i;
    for (int step = 0; step < 20000; ++step) {
        rig.inner->takes = random() % 3;
        if (!idle.empty()) {
            const std::uint32_t token = idle.back();
            std::ranges::fill(rig.slots[token], static_cast<std::byte>(random()));
            const std::size_t blocks = 1 + random() % 8;
            const auto one = rig.transfer(static_cast<Op>(random() % 3), random() % (65 - blocks), blocks, token);
            if (rig.lane->submit({&one, 1}) == 1)
                idle.pop_back();
        }
        for (const Completion& one : rig.ended(random() % 2)) {
            REQUIRE(one.status == Status::ok);
            idle.push_back(one.token);
        }
    }
    while (idle.size() < depth)
        for (const Completion& one : rig.ended(1))
            idle.push_back(one.token);
    std::uint64_t known = 0;
    for (std::uint64_t i = 0; i < rig.sums->size(); ++i)
        if (BlockSums::is_sum(rig.sums->at(i))) {
            ++known;
            REQUIRE(rig.sums->at(i) == BlockSums::of(std::span(rig.store).subspan(i * block, block)));
        }
    REQUIRE(known != 0);
    REQUIRE(rig.damage.empty());
}

TEST_CASE("a table is taken over with what it knows, but for blocks that were being written") {
    auto sums = BlockSums::make(capacity);
    REQUIRE(sums.has_value());
    const Bytes bytes(block, std::byte{1});
    for (const std::uint64_t i : {0, 1, 2}) {
        sums->begin_write(i);
        sums->end_write(i, BlockSums::of(bytes));
    }
    sums->begin_write(1);
    sums->begin_write(2);
    sums->begin_write(2);
    auto taken = BlockSums::adopt(Fd(::fcntl(sums->fd(), F_DUPFD_CLOEXEC, 0)), capacity);
    REQUIRE(taken.has_value());
    REQUIRE(taken->at(0) == BlockSums::of(bytes));
    REQUIRE(taken->at(1) == BlockSums::unknown);
    REQUIRE(taken->at(2) == BlockSums::unknown);
    sums->end_write(1, BlockSums::of(bytes)); // a dead helper's last word counts for nothing
    REQUIRE(taken->at(1) == BlockSums::unknown);
    taken->begin_write(1);
    taken->end_write(1, BlockSums::of_zeroes());
    sums->end_write(1, BlockSums::of(bytes));
    REQUIRE(taken->at(1) == BlockSums::unknown);
    const auto other = BlockSums::adopt(Fd(::fcntl(sums->fd(), F_DUPFD_CLOEXEC, 0)), 2 * capacity);
    REQUIRE(!other.has_value());
}

/// An engine over host memory whose checksums are kept.
std::unique_ptr<ChecksumEngine> checked_engine(const char* why = "") {
    return std::make_unique<ChecksumEngine>(std::make_unique<HostEngine>("", Log::to_standard_error()), why);
}

std::vector<InheritedFd> duplicates(const std::vector<KeptFd>& kept) {
    std::vector<InheritedFd> fds;
    for (const KeptFd& one : kept)
        fds.push_back({.name = one.name, .fd = Fd(::fcntl(one.fd, F_DUPFD_CLOEXEC, 0))});
    return fds;
}

bool alarmed(const ChecksumEngine& engine) {
    pollfd poll{.fd = engine.alarm_fd(), .events = POLLIN, .revents = 0};
    return ::poll(&poll, 1, 0) == 1;
}

/// One transfer of one block by a new lane.
Status once(ChecksumEngine& engine, Op op, Bytes& staging) {
    REQUIRE(engine.bind(staging).has_value());
    auto lane = engine.lane(0, depth);
    REQUIRE(lane.has_value());
    const Transfer transfer{.offset = 5 * block, .staging = staging.data(), .length = block, .token = 3, .op = op};
    REQUIRE((*lane)->submit({&transfer, 1}) == 1);
    std::array<Completion, depth> ended{};
    while ((*lane)->poll(ended) == 0) {
    }
    REQUIRE(ended.front().token == 3);
    lane->reset();
    engine.unbind();
    return ended.front().status;
}

TEST_CASE("an engine's checksums go to its successor, and damage is told of once") {
    auto first = checked_engine("for a reason");
    REQUIRE(first->remarks().ends_with("for a reason"));
    REQUIRE(first->open(capacity).has_value());
    Bytes staging(depth * block, std::byte{7});
    REQUIRE(once(*first, Op::write, staging) == Status::ok);
    auto kept = duplicates(first->kept());
    REQUIRE(kept.back().name == ChecksumEngine::kept_name);
    const int store = kept.front().fd.get();
    REQUIRE(::pwrite(store, "x", 1, 5 * block + 9) == 1);

    auto second = checked_engine();
    REQUIRE(second->adopt(capacity, kept).has_value());
    REQUIRE(second->remarks().empty());
    REQUIRE(!alarmed(*second));
    REQUIRE(second->alarm().empty());
    REQUIRE(once(*second, Op::read, staging) == Status::io_error);
    REQUIRE(alarmed(*second));
    REQUIRE(second->alarm().find("from byte 20480 of the device on; 1 request failed") != std::string::npos);
    REQUIRE(!alarmed(*second));
    REQUIRE(second->alarm().empty());
    REQUIRE(once(*second, Op::read, staging) == Status::io_error);
    REQUIRE(alarmed(*second)); // of the second
    REQUIRE(!second->alarm().empty());
    REQUIRE(once(*second, Op::read, staging) == Status::io_error);
    REQUIRE(!alarmed(*second)); // not of the third
    REQUIRE(second->kept().size() == first->kept().size());
}

TEST_CASE("checksums that a helper does not use are never believed by a later one") {
    auto first = checked_engine();
    REQUIRE(first->open(capacity).has_value());
    auto kept = duplicates(first->kept());
    auto second = checked_engine();
    SECTION("they cannot be mapped: there is no takeover, this time") {
        kept.back().fd = Fd(::memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING));
        REQUIRE(::ftruncate(kept.back().fd.get(), capacity / block * sizeof(BlockSums::Sum)) == 0);
        REQUIRE(::fcntl(kept.back().fd.get(), F_ADD_SEALS, F_SEAL_WRITE) == 0);
        REQUIRE(!second->adopt(capacity, kept).has_value());
    }
    SECTION("they are another store's: they are cleared") {
        auto small = BlockSums::make(capacity / 2);
        REQUIRE(small.has_value());
        small->begin_write(0);
        small->end_write(0, BlockSums::of_zeroes());
        kept.back().fd = Fd(::fcntl(small->fd(), F_DUPFD_CLOEXEC, 0));
        REQUIRE(second->adopt(capacity, kept).has_value());
        REQUIRE(small->at(0) == BlockSums::unknown);
    }
}

TEST_CASE("contents without checksums, or with others', are taken over without") {
    auto plain = std::make_unique<HostEngine>("", Log::to_standard_error());
    REQUIRE(plain->open(capacity).has_value());
    auto kept = duplicates(plain->kept());
    auto successor = checked_engine();
    REQUIRE(successor->adopt(capacity, kept).has_value());
    REQUIRE(successor->kept().size() == 1);
    Bytes staging(depth * block, std::byte{7});
    REQUIRE(once(*successor, Op::read, staging) == Status::ok);

    auto small = BlockSums::make(capacity / 2);
    REQUIRE(small.has_value());
    kept = duplicates(plain->kept());
    kept.push_back(
        {.name = std::string(ChecksumEngine::kept_name), .fd = Fd(::fcntl(small->fd(), F_DUPFD_CLOEXEC, 0))});
    auto other = checked_engine();
    REQUIRE(other->adopt(capacity, kept).has_value());
    REQUIRE(alarmed(*other));
    REQUIRE(other->alarm().find("not checked any more") != std::string::npos);
    REQUIRE(!alarmed(*other));
    REQUIRE(other->kept().size() == 1);
}

} // namespace
