// SPDX-License-Identifier: MIT
// Decisions only: no I/O, no clock, no state of the machine. Each is tested with tables.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "config.hpp"
#include "error.hpp"

namespace vramswap::policy {

/// How many bytes new contents get by the configuration's size and headroom. `vram_free`: what there is to be had of
/// sizes.vram.
[[nodiscard]] Result<std::uint64_t> capacity(const Config& config, const MemorySizes& sizes, std::uint64_t vram_free);

/// What holds where a configuration says nothing of a size: most of a GPU, but not what its display and others need.
inline constexpr std::string_view default_size = "min(vram - 2G, 0.8 * vram)";
inline constexpr std::string_view default_headroom = "512M";

/// Pieces that memory of a GPU is taken in: all of one size, but for the last.
struct Chunks {
    std::uint64_t size = 0; ///< of all but the last, bytes
    std::uint64_t last = 0; ///< bytes
    unsigned count = 0;     ///< the last included

    bool operator==(const Chunks&) const = default;
};

/// The most chunks of one store. Each has a descriptor, which the service manager keeps too: with the few others they
/// stay below FileDescriptorStoreMax=256, and far below the 1024 descriptors that a process may usually have.
inline constexpr unsigned max_chunks = 192;

/// How to take `bytes` of a GPU's memory, which comes in multiples of `granule`, a power of two: in chunks of 64 MiB,
/// or of twice, four times ... that where there would be too many.
[[nodiscard]] Chunks chunks(std::uint64_t bytes, std::uint64_t granule) noexcept;

/// How long an I/O thread looks for work before it sleeps.
///
/// Looking is worth it only if work comes within `limit`. A look that meets work saves what falling asleep and waking
/// up would have cost; looks that meet nothing may spend so much, each its whole time, and then the time shrinks
/// towards nothing. So a disturbance now and then changes nothing. The time is whole again when work came so soon after
/// falling asleep that such a look would have met it.
///
/// The kernel looks better: it knows when another task wants the processor. Only while that has met work without sleep
/// is it worth saving the call, and looking here for a moment first; now and then the kernel is asked all the same.
class Spin {
public:
    /// `limit`: the longest look. With one CPU the looker keeps the submitter from running, so there is no looking.
    Spin(std::chrono::nanoseconds limit, unsigned cpus) noexcept
        : limit_(cpus > 1 ? limit : std::chrono::nanoseconds(0)), budget_(limit_) {}

    /// How long to look this time, in all.
    [[nodiscard]] std::chrono::nanoseconds budget() const noexcept { return budget_; }

    /// How much of that to look here; the rest in ENTER.
    [[nodiscard]] std::chrono::nanoseconds before_enter() const noexcept;

    /// Looking met work, here or in ENTER.
    void met_work() noexcept;

    /// Looking met nothing, or another task wanted the processor; work came `gap` after the last, falling asleep and
    /// waking up included.
    void slept(std::chrono::nanoseconds gap) noexcept;

private:
    std::chrono::nanoseconds limit_;
    std::chrono::nanoseconds budget_;
    std::chrono::nanoseconds saved_{0}; ///< by looks that met work, not yet spent on others; bounded
    unsigned met_in_a_row_ = 0;
};

/// What to do between two polls of a lane that has transfers in flight.
struct PollDelay {
    unsigned pauses = 0;                ///< pause instructions, or
    std::chrono::microseconds sleep{0}; ///< a sleep, for transfers that are no matter of microseconds any more
    bool ask_session = false;           ///< ask the kernel whether the session still lives
};

/// The delay after `fruitless` polls in a row that brought nothing.
[[nodiscard]] PollDelay poll_delay(unsigned fruitless, unsigned cpus) noexcept;

/// How often a busy control device is tried again.
inline constexpr std::chrono::milliseconds attach_interval{50};

/// Is what failed worth another try? A predecessor's end takes a moment, and memory is short at times.
[[nodiscard]] bool passing(const Error& error) noexcept;

/// What a predecessor left with the service manager.
struct Inheritance {
    bool record_found = false;
    bool record_read = false;  ///< it is one that this version knows
    bool record_valid = false; ///< it vouches for its contents
    unsigned device = 0;
    EngineChoice engine = EngineChoice::host;
    std::string store;         ///< path behind the host engine, empty for a memfd; the GPU's UUID
    bool memory_found = false; ///< what the engine keeps its bytes by is there
};

enum class Start : std::uint8_t {
    fresh,  ///< new contents
    resume, ///< the predecessor's contents
    refuse, ///< neither is safe: let the user decide
};

struct StartDecision {
    Start start = Start::fresh;
    std::string why; ///< a sentence for the user; empty where nothing is remarkable
};

/// Resume or begin anew. The kernel has the last word: it knows whether it holds contents, and whose.
[[nodiscard]] StartDecision start(const Config& wanted, const Inheritance& left);

/// How a session ended, in the words of the I/O thread that noticed first.
enum class EndCause : std::uint8_t {
    asked,  ///< this process asked its threads to end
    kernel, ///< ENTER failed, with the errno beside this
    engine, ///< the lane can do nothing more, or does not let go of its transfers
    ring,   ///< the kernel published what it must not
};

enum class After : std::uint8_t {
    leave,        ///< exit, status 0
    leave_failed, ///< exit, status 1: the kernel holds the contents for the next helper
    attach_again, ///< the contents are intact here: a new session, by this process
};

/// What to do after a session ended with `cause` (and `code`, an errno, for EndCause::kernel).
[[nodiscard]] After after_session(EndCause cause, int code) noexcept;

} // namespace vramswap::policy
