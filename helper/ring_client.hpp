// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "error.hpp"
#include "fd.hpp"
#include "mapping.hpp"
#include "ring.hpp"

namespace vramswap {

/// What a session serves.
struct Contents {
    std::uint64_t capacity = 0; ///< bytes
    std::uint64_t cookie = 0;   ///< the kernel's name for the contents held, or 0 for new ones
    std::string label;          ///< what stores them, for people; cut to what the kernel takes
};

/// One session on /dev/vramswapcN: the only user of its shared memory and of its ioctls.
///
/// Calls in their order: open, attach, start, then enter from one thread for each queue, then stop or destruction.
/// Destruction without stop leaves the contents held by the kernel. Errors are ring_error's sentences.
class RingClient final : public Doorbell {
public:
    [[nodiscard]] static Result<std::unique_ptr<RingClient>> open(unsigned device);

    /// ATTACH and the four mappings. After an error the same object may try again unless it was attached.
    [[nodiscard]] Result<void> attach(const Contents& contents);

    [[nodiscard]] Result<void> start();

    /// Orderly stop: on success all waiting and later calls of enter return -ESHUTDOWN.
    [[nodiscard]] Result<void> stop();

    int enter(unsigned queue, std::uint32_t flags, std::uint32_t sq_head, std::uint32_t spin_us) noexcept override;

    // What ATTACH told; valid after it.
    [[nodiscard]] unsigned device() const noexcept { return device_; }
    [[nodiscard]] unsigned queues() const noexcept { return attach_.queues; }
    [[nodiscard]] unsigned slots() const noexcept { return attach_.slots; }         ///< of each queue
    [[nodiscard]] unsigned slot_size() const noexcept { return attach_.slot_size; } ///< bytes
    [[nodiscard]] std::uint64_t cookie() const noexcept { return attach_.cookie; }

    /// The two rings of a queue, for its thread alone. Borrowed from this object, as is all memory below.
    [[nodiscard]] Ring ring(unsigned queue) const noexcept;

    /// A queue's staging slots, one after the other; without argument those of all queues.
    [[nodiscard]] std::span<std::byte> staging(unsigned queue) const noexcept;
    [[nodiscard]] std::span<std::byte> staging() const noexcept { return staging_.bytes(); }

private:
    RingClient(Fd fd, unsigned device) noexcept : fd_(std::move(fd)), device_(device) {}

    [[nodiscard]] Result<void> map_all();
    [[nodiscard]] Result<void> map(const vramswap_region& region, int protection, Mapping& mapping);
    [[nodiscard]] Result<void> check_shape() const;

    Fd fd_;
    unsigned device_;
    vramswap_attach attach_{};
    Mapping sq_;
    Mapping cq_;
    Mapping staging_;
    Mapping map_;
};

} // namespace vramswap
