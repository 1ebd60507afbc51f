// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine.hpp"
#include "error.hpp"

namespace vramswap {

/// The service manager that started this process: it is told of our state and keeps descriptors for a successor.
/// Without one, everything here does nothing.
///
/// Talking to it can wait for it, and it may itself wait for a page that only we can bring back. So nothing here is
/// called between the loss of a session and the START of the next.
class ServiceManager {
public:
    ServiceManager();

    /// True if there is one to talk to.
    [[nodiscard]] bool there() const noexcept { return there_; }

    /// The descriptors kept from a predecessor, with their names. Works once.
    [[nodiscard]] Result<std::vector<InheritedFd>> take_fds() const;

    /// Asks it to keep a duplicate of `fd` under `name`.
    [[nodiscard]] Result<void> keep(const std::string& name, int fd) const;

    /// Asks it to let go of all descriptors named `name`.
    void forget(std::string_view name) const;

    /// Waits until it has read all that was sent; error after a few seconds.
    [[nodiscard]] Result<void> sync() const;

    void ready(const std::string& status) const;
    void status(const std::string& status) const;
    void stopping(const std::string& status) const;

private:
    void notify(const std::string& message) const;

    bool there_;
};

} // namespace vramswap
