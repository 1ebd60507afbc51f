// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string>

#include "config.hpp"
#include "error.hpp"
#include "fd.hpp"

namespace vramswap {

/// What a successor must know about the contents.
struct Record {
    bool valid = false;         ///< the contents are there and whole; the kernel decides whether it still wants them
    std::uint64_t cookie = 0;   ///< the kernel's name for them
    std::uint64_t capacity = 0; ///< bytes
    unsigned device = 0;        ///< N of the /dev/vramswapN that they are of
    EngineChoice engine = EngineChoice::host;
    std::string label;  ///< for people
    std::string store;  ///< path behind the host engine, empty for a memfd; the GPU's UUID
    std::string tuning; ///< the engine's; empty: not known, or better not used again
};

/// A record in a memfd that the service manager keeps while no helper runs.
class SessionState {
public:
    /// Name under which it is kept.
    static constexpr std::string_view kept_name = "vramswap-state";

    /// A new one, with a record that is not valid.
    [[nodiscard]] static Result<SessionState> make();

    /// One that a predecessor wrote.
    [[nodiscard]] static SessionState adopt(Fd fd) { return SessionState(std::move(fd)); }

    /// Error EPROTO if it is of another version or no record at all.
    [[nodiscard]] Result<Record> read() const;

    [[nodiscard]] Result<void> write(const Record& record);

    /// Withdraws the voucher, after the contents were given up.
    [[nodiscard]] Result<void> invalidate();

    [[nodiscard]] int fd() const noexcept { return fd_.get(); }

private:
    explicit SessionState(Fd fd) noexcept : fd_(std::move(fd)) {}

    Fd fd_;
};

} // namespace vramswap
