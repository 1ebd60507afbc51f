// SPDX-License-Identifier: MIT
/// What a hostile helper has mapped.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include <uapi/vramswap.h>

namespace fuzz {

/// A mapping of shared memory; the address is null if there is none.
struct Area {
    std::byte* address = nullptr;
    std::size_t size = 0;
};

/// What all threads of a hostile helper work on. Mapped once, before they start.
struct Target {
    int fd = -1;
    vramswap_attach shape{};
    Area sq;
    Area cq;
    Area staging;
    Area map;
    std::array<std::atomic<std::uint32_t>, VRAMSWAP_MAX_QUEUES> heads{};
    std::atomic<bool> ended; ///< the kernel wants no more of this session
    bool alone = false;      ///< only one thread uses it
    bool lied = false;       ///< that thread has done what may end the session, or end a request before its time

    [[nodiscard]] bool mapped() const { return staging.address != nullptr; }
    [[nodiscard]] const vramswap_sq& sq_of(unsigned queue) const {
        return *reinterpret_cast<const vramswap_sq*>(sq.address + (queue * shape.sq_stride));
    }
    [[nodiscard]] vramswap_cq& cq_of(unsigned queue) const {
        return *reinterpret_cast<vramswap_cq*>(cq.address + (queue * shape.cq_stride));
    }
    [[nodiscard]] std::uint64_t* cqe(unsigned queue, std::uint32_t number) const {
        auto* const first = reinterpret_cast<std::uint64_t*>(&cq_of(queue) + 1);
        return first + (number % shape.ring_entries);
    }
};

} // namespace fuzz
