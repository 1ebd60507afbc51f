// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine.hpp"
#include "error.hpp"
#include "keeper.hpp"

namespace vramswap {

/// Those who keep descriptors for a successor and are told of our state: the keeper, and the service manager that
/// started it, if one did. (A unit needs NotifyAccess=all.)
///
/// Talking to the service manager can wait for it, and it may itself wait for a page that only we can bring back. So
/// nothing here is called between the loss of a session and the START of the next.
class ServiceManager {
public:
    explicit ServiceManager(KeeperLink keeper);

    /// True if there is a service manager to talk to.
    [[nodiscard]] bool there() const noexcept { return there_; }

    /// Did the service manager keep anything from a predecessor of this process? Only until inherited_fds has them.
    [[nodiscard]] static bool kept_fds();

    /// What the service manager kept from a predecessor of this process, with names. Works once.
    [[nodiscard]] static Result<std::vector<InheritedFd>> inherited_fds();

    /// The descriptors kept from a predecessor, with their names. Works once.
    [[nodiscard]] std::vector<InheritedFd> take_fds() { return keeper_.take_fds(); }

    /// Asks both to keep a duplicate of `fd` under `name`.
    [[nodiscard]] Result<void> keep(const std::string& name, int fd) const;

    /// Asks both to let go of all descriptors named `name`.
    void forget(std::string_view name) const;

    /// Waits until they have read all that was sent; error after a few seconds.
    [[nodiscard]] Result<void> sync();

    void ready(const std::string& status) const;
    void status(const std::string& status) const;
    void stopping(const std::string& status) const;

private:
    void notify(const std::string& message) const;

    KeeperLink keeper_;
    bool there_;
};

} // namespace vramswap
