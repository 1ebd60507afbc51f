// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include <signal.h> // NOLINT(modernize-deprecated-headers): sigset_t
#include <sys/types.h>

#include "engine.hpp"
#include "error.hpp"
#include "fd.hpp"
#include "log.hpp"

namespace vramswap {

/// A worker's exit status: it failed, and so would any other; the user must do something (EX_CONFIG of sysexits.h).
inline constexpr int hopeless_status = 78;

/// A worker's line to the keeper that started it. Default-made: there is no keeper, and everything does nothing.
class KeeperLink {
public:
    KeeperLink() = default;
    KeeperLink(Fd socket, std::vector<InheritedFd> kept) : socket_(std::move(socket)), kept_(std::move(kept)) {}

    /// What predecessors asked to be kept. Works once.
    [[nodiscard]] std::vector<InheritedFd> take_fds() { return std::exchange(kept_, {}); }

    /// Has a duplicate of `fd` kept under `name` for a successor. Once sent it is safe, whatever becomes of us.
    [[nodiscard]] Result<void> keep(std::string_view name, int fd) const;

    /// Has all descriptors named `name` let go of.
    void forget(std::string_view name) const;

    /// Says that the device is served: deaths are counted anew.
    void live() const;

    /// Waits until all that was sent is done; error after a few seconds, or if something could not be kept.
    [[nodiscard]] Result<void> sync();

private:
    Fd socket_;
    std::vector<InheritedFd> kept_;
    unsigned syncs_ = 0; ///< asked for; tells a late answer from the one that is waited for
};

/// The process that starts the worker, and a new one at once when it dies.
///
/// A service manager alone is too far away: its own pages, its log and the program's file may have been swapped out or
/// dropped, and to bring them back may take the very device that waits for the new worker. The keeper's memory is
/// locked, it needs no file and runs no program: it forks. It holds the descriptors of the contents, and does so little
/// that it has no reason to die; if it is killed, its worker dies with it, and the service manager starts both.
class Keeper {
public:
    /// What the worker does, to its end; its exit status. Runs in a child process.
    using Work = std::function<int(KeeperLink)>;

    /// Owns what the service manager kept.
    Keeper(std::vector<InheritedFd> kept, const Log& log);
    Keeper(const Keeper&) = delete;
    Keeper& operator=(const Keeper&) = delete;
    Keeper(Keeper&&) = delete;
    Keeper& operator=(Keeper&&) = delete;
    ~Keeper();

    /// Until a worker ends with 0 or hopeless_status, or leaves no contents to go on with, or the first one that makes
    /// contents fails before it is live. Signals to stop are passed on to it. Returns the exit status; an error if the
    /// first worker cannot be started. Call before there are threads.
    /// `before_successor` is called in this process before each worker but the first.
    [[nodiscard]] Result<int> run(const Work& work, const std::function<void()>& before_successor = [] {});

private:
    struct Kept {
        InheritedFd file;
        void* memory = nullptr; ///< locked, if it is a memfd
        std::size_t size = 0;
    };

    [[nodiscard]] Result<void> spawn(const Work& work);
    [[noreturn]] void become_worker(const Work& work, Fd socket, pid_t keeper);
    void listen();
    void look_after_worker();
    void take_signals();
    void pass_signal_on();
    bool hear();
    void keep(std::string_view name, Fd fd);
    void forget(std::string_view name);
    void bury(int status);

    std::vector<Kept> kept_;
    Log log_;
    Fd signals_;
    sigset_t outside_{};   ///< the signals blocked before run
    Fd socket_;            ///< to the worker
    pid_t worker_ = 0;     ///< 0: there is none
    bool served_ = false;  ///< a worker was live under this keeper
    bool inherited_;       ///< there were contents before this keeper
    bool dropped_ = false; ///< a descriptor that was to be kept did not arrive; said in the next answer
    bool live_ = false;
    std::chrono::steady_clock::time_point live_since_;
    // Since a worker was live for more than a moment.
    unsigned starts_ = 0;
    // For the next worker that is live; 0: none.
    int stop_signal_ = 0; ///< not passed on yet
    int passed_on_ = 0;   ///< the one that this worker got
    bool over_ = false;
    int status_ = 0;
};

} // namespace vramswap
