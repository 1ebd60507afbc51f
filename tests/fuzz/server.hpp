// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "shared.hpp"
#include "target.hpp"

namespace fuzz {

/// Of a hostile helper's contents, bytes, or a small multiple of it.
inline constexpr std::uint64_t usual_capacity = std::uint64_t{VRAMSWAP_BLOCK_SIZE} * 4096;

/// What a hostile helper does as a sound one would, so that requests go round; and its looks at what the kernel shows.
/// One for each thread.
class Server {
public:
    Server(Target& target, Dice& dice, Counts& counts)
        : target_(target), dice_(dice), counts_(counts), own_word_(marked(helper_mark, counts.epoch)) {}

    /// Makes a session, of the contents named `cookie` or of new ones (0), and maps it; or does not.
    void attach(std::uint64_t cookie);
    /// Goes live, or does not.
    void start();
    /// Tells the kernel what was taken, and waits, perhaps.
    void enter(unsigned queue, std::uint32_t flags, std::uint32_t head) const;
    /// Takes a request and answers it, or asks for one.
    void serve();
    /// Publishes a CQE. Threads race for the tail on purpose.
    void put(unsigned queue, const vramswap_cqe& cqe);
    /// Writes our word all over a slot.
    void fill(unsigned queue, unsigned slot, std::size_t length);
    /// A queue of this session.
    [[nodiscard]] unsigned queue() const { return static_cast<unsigned>(dice_.below(target_.shape.queues)); }

private:
    void map_all();
    [[nodiscard]] Area map(const vramswap_region& region, int protection) const;
    void check(const vramswap_sqe& sqe) const;
    void look_at(unsigned queue, const vramswap_sqe& sqe) const;
    [[nodiscard]] std::span<std::uint64_t> slot(unsigned queue, unsigned number, std::size_t length) const;

    Target& target_;
    Dice& dice_;
    Counts& counts_;
    std::uint64_t own_word_;
};

} // namespace fuzz
