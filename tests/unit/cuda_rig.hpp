// SPDX-License-Identifier: MIT
// A CudaEngine on the fake driver, with staging and a lane, used from the test's own thread.
#pragma once

#include "catch.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

#include <helper/cuda_engine.hpp>

#include "cuda_fake.hpp"
#include "sanitizers.hpp"

#include "vramswap.h"

namespace vramswap::test {

inline constexpr std::uint64_t cuda_capacity = 256 * 4096;
inline constexpr unsigned cuda_depth = 16;
inline constexpr std::size_t cuda_slot = 64UL << 10;

inline std::vector<std::byte> random_bytes(std::size_t length, std::uint64_t seed) {
    std::mt19937_64 random(seed);
    std::vector<std::byte> bytes(length);
    std::ranges::generate(bytes, [&] { return static_cast<std::byte>(random()); });
    return bytes;
}

/// Duplicates of what an engine keeps, as a service manager would give them back.
inline std::vector<InheritedFd> duplicates(const std::vector<KeptFd>& kept) {
    std::vector<InheritedFd> fds;
    for (const KeptFd& one : kept)
        fds.push_back({.name = one.name, .fd = Fd(::fcntl(one.fd, F_DUPFD_CLOEXEC, 0))});
    return fds;
}

/// Everything up to a lane that has begun. Members are public: it is what tests look into.
class CudaRig {
public:
    explicit CudaRig(const std::string& faults = {}, std::uint64_t size = cuda_capacity,
                     std::optional<CudaPath> path = CudaPath::engine)
        : fake(faults), staging(cuda_depth * cuda_slot), capacity(size) {
        auto made = CudaEngine::make({.path = path, .libcuda = fake_library});
        REQUIRE(made.has_value());
        engine = std::move(*made);
    }
    CudaRig(const CudaRig&) = delete;
    CudaRig& operator=(const CudaRig&) = delete;
    CudaRig(CudaRig&&) = delete;
    CudaRig& operator=(CudaRig&&) = delete;
    ~CudaRig() {
        fake.arm(""); // lets go of what hangs
        lane.reset();
        if (engine)
            engine->unbind();
    }

    /// New contents.
    void open() {
        REQUIRE(engine->open(capacity).has_value());
        bind();
    }

    void bind() {
        REQUIRE(engine->bind(staging).has_value());
        auto made = engine->lane(0, cuda_depth);
        REQUIRE(made.has_value());
        lane = std::move(*made);
        const auto begun = lane->begin();
        REQUIRE(begun.has_value());
    }

    [[nodiscard]] std::span<std::byte> slot(std::uint32_t number) {
        return std::span(staging).subspan(number * cuda_slot, cuda_slot);
    }

    /// Polls until there are `count` completions or the lane fails or time is up.
    std::vector<Completion> ended(std::size_t count, std::chrono::milliseconds patience = std::chrono::seconds(20)) {
        std::vector<Completion> all;
        const auto until = std::chrono::steady_clock::now() + patience;
        while (all.size() < count && !lane->failed() && std::chrono::steady_clock::now() < until) {
            std::array<Completion, cuda_depth> some;
            const std::size_t got = lane->poll(some);
            all.insert(all.end(), some.begin(), some.begin() + static_cast<std::ptrdiff_t>(got));
            if (got == 0)
                std::this_thread::yield();
        }
        return all;
    }

    /// One transfer to its end; nothing if the lane failed.
    std::optional<Status> carry_out(const Transfer& transfer) {
        if (lane->submit(std::span(&transfer, 1)) != 1)
            return std::nullopt;
        const auto all = ended(1);
        if (all.empty())
            return std::nullopt;
        REQUIRE(all.front().token == transfer.token);
        return all.front().status;
    }

    std::optional<Status> write(std::uint64_t offset, const std::vector<std::byte>& bytes) {
        std::ranges::copy(bytes, slot(0).begin());
        return carry_out({.offset = offset,
                          .staging = slot(0).data(),
                          .length = static_cast<std::uint32_t>(bytes.size()),
                          .op = Op::write});
    }

    /// What is stored there; empty if it could not be read.
    std::vector<std::byte> read(std::uint64_t offset, std::size_t length) {
        std::ranges::fill(slot(1), std::byte{0x5A});
        if (carry_out({.offset = offset,
                       .staging = slot(1).data(),
                       .length = static_cast<std::uint32_t>(length),
                       .op = Op::read}) != Status::ok)
            return {};
        return {slot(1).begin(), slot(1).begin() + static_cast<std::ptrdiff_t>(length)};
    }

    Fake fake;
    std::vector<std::byte> staging;
    std::uint64_t capacity;
    std::unique_ptr<CudaEngine> engine;
    std::unique_ptr<Lane> lane;
};

/// Batches of random transfers on parts of the store that do not touch each other, against a model of every byte.
class Traffic {
public:
    Traffic(CudaRig& rig, std::uint64_t seed, std::uint64_t from = 0, std::uint64_t length = cuda_capacity)
        : rig_(rig), random_(seed), from_(from), model_(length) {}

    /// False once the lane has failed. Requires that whatever was answered `ok` is so.
    bool batch() {
        transfers_.clear();
        for (std::uint32_t i = 0; i < cuda_depth; ++i)
            transfers_.push_back(make(i));
        std::size_t taken = 0;
        std::size_t ended = 0;
        while (ended < cuda_depth) {
            taken += rig_.lane->submit(std::span(transfers_).subspan(taken));
            if (taken == 0 && rig_.lane->failed())
                return false;
            const auto some = rig_.ended(1);
            if (some.empty())
                return false;
            for (const Completion& one : some)
                check(one);
            ended += some.size();
        }
        return true;
    }

    [[nodiscard]] unsigned errors() const noexcept { return errors_; }

private:
    /// In the i-th part of the store and of the staging.
    Transfer make(std::uint32_t i) {
        const std::uint64_t blocks = model_.size() / VRAMSWAP_BLOCK_SIZE / cuda_depth;
        const std::uint64_t first = random_() % blocks;
        const std::uint64_t count = 1 + random_() % std::min<std::uint64_t>(blocks - first, cuda_slot / 4096);
        const Transfer transfer{.offset = from_ + (i * blocks + first) * 4096,
                                .staging = rig_.slot(i).data(),
                                .length = static_cast<std::uint32_t>(count * 4096),
                                .token = i,
                                .op = static_cast<Op>(random_() % 3)};
        const auto staged = rig_.slot(i).first(transfer.length);
        if (transfer.op == Op::write)
            std::ranges::copy(random_bytes(transfer.length, random_()), staged.begin());
        else
            std::ranges::fill(staged, std::byte{0x5A});
        return transfer;
    }

    void check(const Completion& completion) {
        const Transfer& transfer = transfers_.at(completion.token);
        const auto part = std::span(model_).subspan(transfer.offset - from_, transfer.length);
        const auto staged = rig_.slot(transfer.token).first(transfer.length);
        if (completion.status != Status::ok) {
            ++errors_;
            return;
        }
        if (transfer.op == Op::read)
            REQUIRE(std::ranges::equal(part, staged));
        else if (transfer.op == Op::write)
            std::ranges::copy(staged, part.begin());
        else
            std::ranges::fill(part, std::byte{0});
    }

    CudaRig& rig_;
    std::mt19937_64 random_;
    std::uint64_t from_;
    std::vector<std::byte> model_; ///< zero, as new contents are
    std::vector<Transfer> transfers_;
    unsigned errors_ = 0;
};

} // namespace vramswap::test
