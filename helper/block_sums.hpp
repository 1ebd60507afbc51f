// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include "error.hpp"
#include "fd.hpp"
#include "mapping.hpp"

namespace vramswap {

/// A checksum for each block of a store, in memory that can outlive the helper: 4 bytes for each VRAMSWAP_BLOCK_SIZE
/// bytes, a thousandth of the store.
///
/// An entry is a checksum, whose highest bit is set; or the number of writes under way, one more if there have been
/// several at once: then nobody can tell whose bytes stay, and once they have ended nothing is known (0). All threads
/// may use all of it.
class BlockSums {
public:
    using Sum = std::uint32_t;

    static constexpr Sum unknown = 0;

    /// Of one block's bytes: 31 bits of XXH3, so that one in two thousand million wrong blocks passes.
    [[nodiscard]] static Sum of(std::span<const std::byte> block) noexcept;

    /// Of a block of zeroes.
    [[nodiscard]] static Sum of_zeroes() noexcept;

    [[nodiscard]] static bool is_sum(Sum entry) noexcept { return (entry & sum_bit) != 0; }

    /// For a new store of `capacity` bytes, a multiple of the block size. Nothing is known yet.
    [[nodiscard]] static Result<BlockSums> make(std::uint64_t capacity);

    /// A predecessor's, with what it knew; of blocks that it was writing when it died, nothing is known, nor of any if
    /// a page of the table is broken. Error EINVAL if it is not for a store of `capacity` bytes; ENOMEM and others:
    /// perhaps later. A table that is not used must be cleared: writes that it does not see make it lie.
    [[nodiscard]] static Result<BlockSums> adopt(Fd fd, std::uint64_t capacity);

    /// Makes a table forget all that it knows.
    [[nodiscard]] static Result<void> clear(const Fd& fd);

    [[nodiscard]] int fd() const noexcept { return fd_.get(); }

    /// Number of blocks.
    [[nodiscard]] std::uint64_t size() const noexcept { return entries_.bytes().size() / sizeof(Sum); }

    /// The entry of a block; acquires what was known to who wrote it.
    [[nodiscard]] Sum at(std::uint64_t block) const noexcept;

    /// Before the first byte of a block is written.
    void begin_write(std::uint64_t block) noexcept;

    /// After the last one was, or when it was given up: `sum` is what was written, or `unknown`.
    void end_write(std::uint64_t block, Sum sum) noexcept;

private:
    static constexpr Sum sum_bit = 1U << 31;

    BlockSums(Fd fd, Mapping entries) noexcept : fd_(std::move(fd)), entries_(std::move(entries)) {}

    [[nodiscard]] Sum& entry(std::uint64_t block) const noexcept;

    Fd fd_;
    Mapping entries_;
};

} // namespace vramswap
