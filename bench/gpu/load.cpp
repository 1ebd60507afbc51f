// SPDX-License-Identifier: MIT
#include "load.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <ctime>
#include <random>
#include <thread>

namespace vramswap::bench {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::uint64_t block_size = VRAMSWAP_BLOCK_SIZE;
constexpr std::size_t block_words = block_size / sizeof(std::uint64_t);

std::uint64_t now_ns() {
    return static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now().time_since_epoch()).count());
}

double cpu_seconds() {
    timespec used{};
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return static_cast<double>(used.tv_sec) + static_cast<double>(used.tv_nsec) / 1e9;
}

/// Word number `i` of a block. Neither it nor its neighbours are in any other block or version.
constexpr std::uint64_t word(std::uint64_t block, std::uint64_t version, std::size_t i) {
    constexpr std::uint64_t odd = 0x9E3779B97F4A7C15; // 2^64 divided by the golden ratio: spreads small numbers
    return (((block << 24) ^ version) + 1) * odd + i * (odd << 1 | 1);
}

/// One request after the other in a part of the device that is nobody else's.
class User {
public:
    User(test::KernelQueue& queue, const Load& load, Model& model, std::uint64_t first, std::uint64_t blocks,
         std::uint64_t seed)
        : queue_(queue), load_(load), model_(model), first_(first), blocks_(blocks), random_(seed), data_(load.length) {
    }

    /// True if a request was sent.
    bool step(Outcome& outcome) {
        if (under_way_ && ended_ns_.load(std::memory_order_acquire) == 0)
            return false;
        if (under_way_)
            settle(outcome);
        const auto tag = queue_.take_tag();
        if (!tag)
            return false;
        choose();
        under_way_ = true;
        started_ns_ = now_ns();
        queue_.send(*tag, request_);
        return true;
    }

    /// True once nothing is under way.
    bool end(Outcome& outcome) {
        if (under_way_ && ended_ns_.load(std::memory_order_acquire) == 0)
            return false;
        if (under_way_)
            settle(outcome);
        return true;
    }

private:
    void choose() {
        const std::uint64_t longest = std::min<std::uint64_t>(load_.length / block_size, blocks_);
        const std::uint64_t count = load_.mix == Mix::any ? 1 + random_() % longest : longest;
        const std::uint64_t block = first_ + random_() % (blocks_ - count + 1);
        constexpr std::array any{VRAMSWAP_OP_READ, VRAMSWAP_OP_WRITE, VRAMSWAP_OP_WRITE_ZEROES};
        const auto opcode = load_.mix == Mix::read    ? VRAMSWAP_OP_READ
                            : load_.mix == Mix::write ? VRAMSWAP_OP_WRITE
                                                      : any.at(random_() % any.size());
        ended_ns_.store(0, std::memory_order_relaxed);
        request_ = {.offset = block * block_size,
                    .length = static_cast<std::uint32_t>(count * block_size),
                    .opcode = static_cast<std::uint8_t>(opcode),
                    .data = data_.data(),
                    .end = ended,
                    .context = this};
        for (std::uint64_t i = 0; i < count && opcode != VRAMSWAP_OP_READ; ++i) {
            if (opcode == VRAMSWAP_OP_WRITE)
                model_.write(block + i, data_.data() + i * block_size);
            else
                model_.clear(block + i);
        }
    }

    void settle(Outcome& outcome) {
        under_way_ = false;
        outcome.latency.add(ended_ns_.load(std::memory_order_relaxed) - started_ns_);
        outcome.bytes += request_.length;
        if (status_ != VRAMSWAP_STATUS_OK) {
            ++outcome.errors;
            return;
        }
        const std::uint64_t block = request_.offset / block_size;
        for (std::uint64_t i = 0; i < request_.length / block_size && request_.opcode == VRAMSWAP_OP_READ; ++i)
            outcome.wrong += model_.is(block + i, data_.data() + i * block_size) ? 0 : 1;
    }

    /// In the I/O thread, as in the kernel.
    static void ended(test::Request& request, unsigned /*tag*/, unsigned status) {
        auto& user = *static_cast<User*>(request.context);
        user.status_ = status;
        user.ended_ns_.store(now_ns(), std::memory_order_release);
    }

    test::KernelQueue& queue_;
    const Load& load_;
    Model& model_;
    std::uint64_t first_;
    std::uint64_t blocks_;
    std::mt19937_64 random_;
    std::vector<std::byte> data_;
    test::Request request_;
    bool under_way_ = false;
    std::uint64_t started_ns_ = 0;
    unsigned status_ = 0;
    std::atomic<std::uint64_t> ended_ns_ = 0;
};

/// Drives one queue.
void drive(Rig& rig, unsigned index, const Load& load, Model& model, Outcome& outcome) {
    const unsigned queues = rig.shape().queues;
    const std::uint64_t share = model.blocks() / (std::uint64_t{queues} * load.depth);
    std::deque<User> users;
    for (unsigned i = 0; i < load.depth; ++i)
        users.emplace_back(rig.queue(index), load, model, (std::uint64_t{index} * load.depth + i) * share, share,
                           std::uint64_t{index} << 32 | i);
    const auto until = Clock::now() + load.time;
    while (Clock::now() < until) {
        bool sent = false;
        for (User& user : users)
            sent = user.step(outcome) || sent;
        if (sent)
            rig.queue(index).doorbell();
    }
    for (User& user : users)
        while (!user.end(outcome))
            std::this_thread::yield();
}

} // namespace

// ---- Histogram ----

unsigned Histogram::bucket_of(std::uint64_t ns) noexcept {
    constexpr std::uint64_t fine = 1U << fine_bits;
    if (ns < fine)
        return static_cast<unsigned>(ns);
    const auto magnitude = static_cast<unsigned>(std::bit_width(ns)) - 1;
    return ((magnitude - fine_bits + 1) << fine_bits) + static_cast<unsigned>((ns >> (magnitude - fine_bits)) - fine);
}

std::uint64_t Histogram::end_of(unsigned bucket) noexcept {
    constexpr std::uint64_t fine = 1U << fine_bits;
    if (bucket < fine)
        return bucket;
    return ((fine + bucket % fine + 1) << (bucket / fine - 1)) - 1;
}

void Histogram::add(std::uint64_t ns) noexcept {
    ++counts_.at(bucket_of(ns));
    ++count_;
}

void Histogram::add(const Histogram& other) noexcept {
    for (unsigned i = 0; i < buckets; ++i)
        counts_.at(i) += other.counts_.at(i);
    count_ += other.count_;
}

std::uint64_t Histogram::quantile(double part) const noexcept {
    const auto wanted = static_cast<std::uint64_t>(part * static_cast<double>(count_));
    std::uint64_t seen = 0;
    for (unsigned i = 0; i < buckets; ++i) {
        seen += counts_.at(i);
        if (counts_.at(i) != 0 && seen >= wanted)
            return end_of(i);
    }
    return 0;
}

// ---- Model ----

void Model::write(std::uint64_t block, std::byte* bytes) noexcept {
    const std::uint64_t version = (versions_[block] & ~cleared) + 1;
    versions_[block] = version;
    for (std::size_t i = 0; i < block_words; ++i) {
        const std::uint64_t one = word(block, version, i);
        std::memcpy(bytes + i * sizeof one, &one, sizeof one);
    }
}

bool Model::is(std::uint64_t block, const std::byte* bytes) const noexcept {
    const std::uint64_t version = versions_[block];
    std::uint64_t difference = 0;
    for (std::size_t i = 0; i < block_words; ++i) {
        std::uint64_t found = 0;
        std::memcpy(&found, bytes + i * sizeof found, sizeof found);
        difference |= found ^ ((version & cleared) != 0 ? 0 : word(block, version, i));
    }
    return difference == 0;
}

// ---- runs ----

Outcome run(Rig& rig, const Load& load, Model& model) {
    std::vector<Outcome> outcomes(rig.shape().queues);
    const double cpu = cpu_seconds();
    const auto start = Clock::now();
    {
        std::vector<std::jthread> drivers;
        for (unsigned index = 0; index < rig.shape().queues; ++index)
            drivers.emplace_back([&, index] { drive(rig, index, load, model, outcomes[index]); });
    }
    Outcome all;
    all.seconds = std::chrono::duration<double>(Clock::now() - start).count();
    all.cpu_seconds = cpu_seconds() - cpu;
    for (const Outcome& one : outcomes) {
        all.latency.add(one.latency);
        all.bytes += one.bytes;
        all.wrong += one.wrong;
        all.errors += one.errors;
    }
    return all;
}

namespace {

/// One request to its end. True if it did not fail.
bool carry_out(Rig& rig, std::uint8_t opcode, std::uint64_t block, std::span<std::byte> data) {
    std::atomic<int> status = -1;
    test::Request request{
        .offset = block * block_size,
        .length = static_cast<std::uint32_t>(data.size()),
        .opcode = opcode,
        .data = data.data(),
        .end = [](test::Request& one, unsigned /*tag*/,
                  unsigned how) { *static_cast<std::atomic<int>*>(one.context) = static_cast<int>(how); },
        .context = &status};
    auto tag = rig.queue(0).take_tag();
    for (; !tag; tag = rig.queue(0).take_tag())
        std::this_thread::yield();
    rig.queue(0).send(*tag, request);
    rig.queue(0).doorbell();
    while (status == -1)
        std::this_thread::yield();
    return status == VRAMSWAP_STATUS_OK;
}

/// All blocks in order, a slot at a time. `prepare` and `look` get a block and its bytes; the latter says whether they
/// are right.
template<class Prepare, class Look>
Outcome in_order(Rig& rig, std::uint64_t blocks, std::uint8_t opcode, Prepare prepare, Look look) {
    Outcome outcome;
    const auto start = Clock::now();
    std::vector<std::byte> room(rig.shape().slot_size);
    for (std::uint64_t block = 0; block < blocks;) {
        const std::uint64_t count = std::min<std::uint64_t>(room.size() / block_size, blocks - block);
        const auto data = std::span(room).first(count * block_size);
        for (std::uint64_t i = 0; i < count; ++i)
            prepare(block + i, data.data() + i * block_size);
        outcome.errors += carry_out(rig, opcode, block, data) ? 0 : 1;
        for (std::uint64_t i = 0; i < count; ++i)
            outcome.wrong += look(block + i, data.data() + i * block_size) ? 0 : 1;
        outcome.bytes += data.size();
        block += count;
    }
    outcome.seconds = std::chrono::duration<double>(Clock::now() - start).count();
    return outcome;
}

} // namespace

Outcome fill(Rig& rig, Model& model) {
    return in_order(
        rig, model.blocks(), VRAMSWAP_OP_WRITE,
        [&](std::uint64_t block, std::byte* bytes) { model.write(block, bytes); },
        [](std::uint64_t /*block*/, const std::byte* /*bytes*/) { return true; });
}

Outcome read_all(Rig& rig, const Model& model) {
    return in_order(
        rig, model.blocks(), VRAMSWAP_OP_READ, [](std::uint64_t /*block*/, std::byte* /*bytes*/) {},
        [&](std::uint64_t block, const std::byte* bytes) { return model.is(block, bytes); });
}

} // namespace vramswap::bench
