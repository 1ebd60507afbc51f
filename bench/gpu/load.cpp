// SPDX-License-Identifier: MIT
#include "load.hpp"

#include <algorithm>
#include <array>
#include <cstring>
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

    /// There will be no answer any more.
    void give_up(Outcome& outcome) {
        under_way_ = false;
        ++outcome.unanswered;
        for (std::uint64_t i = 0; i < request_.length / block_size && request_.opcode != VRAMSWAP_OP_READ; ++i)
            model_.doubt(request_.offset / block_size + i);
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
    while (Clock::now() < until && rig.serves(index)) {
        bool sent = false;
        for (User& user : users)
            sent = user.step(outcome) || sent;
        if (sent)
            rig.queue(index).doorbell();
    }
    for (User& user : users)
        while (!user.end(outcome)) {
            // (What the thread has answered was answered before it said that it ends.)
            if (!rig.serves(index) && !user.end(outcome))
                user.give_up(outcome);
            std::this_thread::yield();
        }
}

} // namespace

// ---- Model ----

void Model::write(std::uint64_t block, std::byte* bytes) noexcept {
    const std::uint64_t version = (versions_[block] & ~(cleared | doubted)) + 1;
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
    return difference == 0 || (version & doubted) != 0;
}

// ---- runs ----

Outcome run(Rig& rig, const Load& load, Model& model) {
    std::vector<Outcome> outcomes(rig.shape().queues);
    const double cpu = rig.cpu_seconds();
    const auto start = Clock::now();
    {
        std::vector<std::jthread> drivers;
        drivers.reserve(rig.shape().queues);
        for (unsigned index = 0; index < rig.shape().queues; ++index)
            drivers.emplace_back([&, index] { drive(rig, index, load, model, outcomes[index]); });
    }
    Outcome all;
    all.seconds = std::chrono::duration<double>(Clock::now() - start).count();
    all.helper_cpu_seconds = rig.cpu_seconds() - cpu;
    for (const Outcome& one : outcomes) {
        all.latency.add(one.latency);
        all.bytes += one.bytes;
        all.wrong += one.wrong;
        all.errors += one.errors;
        all.unanswered += one.unanswered;
    }
    return all;
}

namespace {

/// All blocks in order by the first queue, a slot at a time, several at once. `each` gets a block and its bytes, before
/// they are written or after they were read, and says whether they are right.
template<class Each>
class Sweep {
public:
    Sweep(Rig& rig, std::uint64_t blocks, std::uint8_t opcode, Each each)
        : rig_(rig), blocks_(blocks), opcode_(opcode), each_(each) {
        constexpr unsigned at_once = 8;
        for (unsigned i = 0; i < std::min(rig.shape().slots, at_once); ++i)
            pieces_.emplace_back(rig.shape().slot_size);
    }

    Outcome run() {
        const auto start = Clock::now();
        for (bool serves = true; serves && (next_ < blocks_ || under_way_ != 0);) {
            serves = rig_.serves(0); // before what it has answered is looked for
            for (Piece& piece : pieces_) {
                take(piece);
                send(piece);
            }
            rig_.queue(0).doorbell();
            std::this_thread::yield();
        }
        outcome_.unanswered = under_way_ + (next_ < blocks_ ? 1 : 0);
        outcome_.seconds = std::chrono::duration<double>(Clock::now() - start).count();
        return outcome_;
    }

private:
    /// Blocks side by side, on their way.
    struct Piece {
        explicit Piece(std::size_t size) : data(size) {}

        std::vector<std::byte> data;
        test::Request request;
        std::atomic<int> status = -1; ///< how it ended
        bool under_way = false;
    };

    void look(Piece& piece) {
        for (std::uint64_t i = 0; i < piece.request.length / block_size; ++i)
            outcome_.wrong += each_(piece.request.offset / block_size + i, piece.data.data() + i * block_size) ? 0 : 1;
    }

    void take(Piece& piece) {
        if (!piece.under_way || piece.status == -1)
            return;
        piece.under_way = false;
        --under_way_;
        outcome_.bytes += piece.request.length;
        outcome_.errors += piece.status == VRAMSWAP_STATUS_OK ? 0 : 1;
        if (opcode_ == VRAMSWAP_OP_READ)
            look(piece);
    }

    void send(Piece& piece) {
        const std::uint64_t count = std::min(piece.data.size() / block_size, blocks_ - next_);
        const auto tag = piece.under_way || count == 0 ? std::nullopt : rig_.queue(0).take_tag();
        if (!tag)
            return;
        piece.status = -1;
        piece.request = {
            .offset = next_ * block_size,
            .length = static_cast<std::uint32_t>(count * block_size),
            .opcode = opcode_,
            .data = piece.data.data(),
            .end = [](test::Request& one, unsigned /*tag*/,
                      unsigned how) { *static_cast<std::atomic<int>*>(one.context) = static_cast<int>(how); },
            .context = &piece.status};
        if (opcode_ == VRAMSWAP_OP_WRITE)
            look(piece);
        piece.under_way = true;
        ++under_way_;
        next_ += count;
        rig_.queue(0).send(*tag, piece.request);
    }

    Rig& rig_;
    std::uint64_t blocks_;
    std::uint8_t opcode_;
    Each each_;
    std::deque<Piece> pieces_;
    std::uint64_t next_ = 0; ///< block
    std::uint64_t under_way_ = 0;
    Outcome outcome_;
};

} // namespace

Outcome fill(Rig& rig, Model& model) {
    return Sweep(rig, model.blocks(), VRAMSWAP_OP_WRITE,
                 [&](std::uint64_t block, std::byte* bytes) {
                     model.write(block, bytes);
                     return true;
                 })
        .run();
}

Outcome read_all(Rig& rig, const Model& model) {
    return Sweep(rig, model.blocks(), VRAMSWAP_OP_READ,
                 [&](std::uint64_t block, const std::byte* bytes) { return model.is(block, bytes); })
        .run();
}

} // namespace vramswap::bench
