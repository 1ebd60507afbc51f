// SPDX-License-Identifier: MIT
// What stores the bytes, as the rest of the helper sees it. Step (4) of a request's life is behind this interface.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "error.hpp"
#include "fd.hpp"

namespace vramswap {

enum class Op : std::uint8_t {
    read,         ///< store → staging
    write,        ///< staging → store
    write_zeroes, ///< zeroes → store; no staging
};

enum class Status : std::uint8_t {
    ok,        ///< the bytes are in their final place
    io_error,  ///< this transfer failed; the store's other bytes are sound
    data_lost, ///< the bytes asked for no longer exist
};

/// One piece of work for a lane.
struct Transfer {
    std::uint64_t offset = 0;     ///< into the store, bytes
    std::byte* staging = nullptr; ///< `length` bytes of the staging bound to the engine; null for write_zeroes
    std::uint32_t length = 0;     ///< bytes
    std::uint32_t token = 0;      ///< the caller's own, given back in the completion
    Op op = Op::read;
};

struct Completion {
    std::uint32_t token = 0;
    Status status = Status::io_error;
};

/// One I/O thread's way into the engine. Used by that thread alone, from its first transfer to its last.
///
/// Neither submit nor poll waits, allocates, throws or makes a call into a driver that could: another process may hold
/// the driver's lock while it reclaims memory into us.
class Lane {
public:
    Lane() = default;
    Lane(const Lane&) = delete;
    Lane& operator=(const Lane&) = delete;
    Lane(Lane&&) = delete;
    Lane& operator=(Lane&&) = delete;

    /// Returns only when nothing that the lane started can still touch staging or store.
    virtual ~Lane() = default;

    /// Called once by the thread that will use the lane, before its first transfer, and before the device is live: here
    /// it may wait and allocate, so that later it need not.
    [[nodiscard]] virtual Result<void> begin() { return {}; }

    /// Starts a prefix of `transfers`, in any order among themselves, and returns its length: fewer than asked for
    /// when the lane's fixed number in flight is reached or when it wants poll to be called first. The transfers are
    /// copied; the staging they name belongs to the lane until their completion.
    [[nodiscard]] virtual std::size_t submit(std::span<const Transfer> transfers) noexcept = 0;

    /// Fills a prefix of `completions` with transfers that ended, in any order, and returns its length.
    ///
    /// `ok` is said only after a checked confirmation that the bytes are in their final place and, for a read, that
    /// the calling thread sees them in staging: the CQE that follows orders them for the kernel.
    [[nodiscard]] virtual std::size_t poll(std::span<Completion> completions) noexcept = 0;

    /// True once the lane can do nothing more and its unfinished transfers will not end. They are not answered: the
    /// kernel holds them for a helper that can reach the store again.
    [[nodiscard]] virtual bool failed() const noexcept = 0;

    /// What made it fail, for people; asked once its thread has ended.
    [[nodiscard]] virtual std::string why() const { return {}; }
};

/// A descriptor that keeps the store alive in the service manager while no helper runs.
struct KeptFd {
    std::string name; ///< as in FDNAME=
    int fd = -1;      ///< owned by the engine
};

/// A descriptor that came back from the service manager.
struct InheritedFd {
    std::string name;
    Fd fd;
};

/// Calls in their order: label; open or adopt; kept; then for each session bind, lane (once a queue, and all before the
/// first begins), unbind; at last, perhaps, erase.
class Engine {
public:
    Engine() = default;
    Engine(const Engine&) = delete;
    Engine& operator=(const Engine&) = delete;
    Engine(Engine&&) = delete;
    Engine& operator=(Engine&&) = delete;
    virtual ~Engine() = default;

    /// What stores the bytes, for people; at most VRAMSWAP_LABEL_SIZE - 1 bytes.
    [[nodiscard]] virtual std::string label() const = 0;

    /// Makes a new store of `capacity` bytes with undefined contents.
    [[nodiscard]] virtual Result<void> open(std::uint64_t capacity) = 0;

    /// Takes over a predecessor's store of exactly `capacity` bytes, every byte as it was. Takes from `inherited`
    /// what it needs.
    [[nodiscard]] virtual Result<void> adopt(std::uint64_t capacity, std::vector<InheritedFd>& inherited) = 0;

    /// What it found out about the way in which it works best, for people; empty: nothing. Asked after bind.
    [[nodiscard]] virtual std::string remarks() const { return {}; }

    /// The same for a successor, which must not try anything out while I/O waits for it; at most max_tuning bytes.
    [[nodiscard]] virtual std::string tuning() const { return {}; }
    static constexpr std::size_t max_tuning = 31;

    /// What a successor's adopt needs; valid as long as the engine.
    [[nodiscard]] virtual std::vector<KeptFd> kept() const = 0;

    /// Names the memory, of all queues, that transfers will use. It stays mapped until unbind.
    [[nodiscard]] virtual Result<void> bind(std::span<std::byte> staging) = 0;

    /// Lets the staging go. All lanes have been destroyed before.
    virtual void unbind() noexcept = 0;

    /// Makes the lane of one queue's thread with room for `depth` transfers in flight. The caller owns the lane, which
    /// must not outlive the engine.
    [[nodiscard]] virtual Result<std::unique_ptr<Lane>> lane(unsigned queue, unsigned depth) = 0;

    /// The contents are given up for good, and no transfer is under way: overwrites what the next user of the memory
    /// could read. Without contents it does nothing.
    [[nodiscard]] virtual Result<void> erase() { return {}; }

    /// Readable when there is something to tell while the device is served; negative: never. The engine's own.
    [[nodiscard]] virtual int alarm_fd() const noexcept { return -1; }

    /// What there is to tell, for people, and no more of it until there is again.
    [[nodiscard]] virtual std::string alarm() { return {}; }
};

} // namespace vramswap
