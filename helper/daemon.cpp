// SPDX-License-Identifier: MIT
#include "daemon.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <thread>

#include <poll.h>
#include <sys/signalfd.h>

#include "device_setup.hpp"
#include "engines.hpp"
#include "io_thread.hpp"
#include "lowmem.hpp"
#include "process.hpp"
#include "ring_errors.hpp"

namespace vramswap {
namespace {

using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

/// How long a stop is tried: udev may have the device open for an instant, a user of the swap for hours.
constexpr auto stop_patience = 2s;
constexpr auto stop_interval = 100ms;

/// A helper that lives this long after START has not died of the way in which it copies.
constexpr auto settling_time = 1s;

/// A request to stop, as a descriptor. The keeper has blocked the signals, in all threads made later, too.
Result<Fd> open_stop_signals() {
    const sigset_t signals = process::stop_signals();
    Fd fd(::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));
    if (!fd)
        return fail(errno, "could not make a signalfd: {}", errno_text(errno));
    return fd;
}

} // namespace

Verdict Daemon::run() {
    auto verdict = lead();
    if (verdict)
        return *verdict;
    log_.error("{}", verdict.error().message);
    if (was_live_ || start_ == policy::Start::resume) // and the manager may wait for a page of ours
        return {.status = EXIT_FAILURE};
    manager_.status(verdict.error().message);
    return {.status = policy::passing(verdict.error()) ? EXIT_FAILURE : hopeless_status};
}

Result<Verdict> Daemon::lead() {
    auto live =
        in_turn([this] { return prepare_process(); }, [this] { return choose_start(); }, [this] { return go_live(); });
    if (!live)
        return pass_on(live);
    return serve();
}

Result<void> Daemon::go_live() {
    if (auto attached = attach_first(); !attached)
        return attached;
    const auto live = in_turn([this] { return make_contents(); }, [this] { return start_first(); });
    if (live || start_ == policy::Start::resume)
        return live;
    if (auto other = engines::fall_back(config_, record_, live.error(), log_); !other)
        return other;
    client_.reset();
    engine_.reset();
    record_.valid = false;
    record_.cookie = 0; // the kernel forgot it with the client
    return go_live();
}

Result<void> Daemon::prepare_keeper(const Config& config) {
    engines::preload(config);
    return in_turn(lowmem::become_io_flusher, lowmem::lock_memory, lowmem::refuse_oom_kill);
}

Result<void> Daemon::prepare_process() {
    if (auto flusher = lowmem::become_io_flusher(); !flusher)
        return flusher;
    lowmem::steady_malloc();
    auto signals = open_stop_signals();
    if (!signals)
        return pass_on(signals);
    signals_ = std::move(*signals);
    return IoThread::accept_kicks();
}

std::string Daemon::serving_text() const {
    return fmt::format("serving vramswap{}: {} in {}, {} queue{}", config_.device, size_text(record_.capacity),
                       record_.label, session_->client().queues(), session_->client().queues() == 1 ? "" : "s");
}

/// Reads a request to stop, waiting for one at most so long.
bool Daemon::stop_requested(std::chrono::milliseconds wait) const {
    pollfd poll{.fd = signals_.get(), .events = POLLIN, .revents = 0};
    signalfd_siginfo info{};
    return ::poll(&poll, 1, static_cast<int>(wait.count())) > 0 && ::read(signals_.get(), &info, sizeof info) > 0;
}

Result<Verdict> Daemon::serve() {
    for (;;) {
        std::array polls{pollfd{.fd = signals_.get(), .events = POLLIN, .revents = 0},
                         pollfd{.fd = session_->ended_fd(), .events = POLLIN, .revents = 0},
                         pollfd{.fd = engine_->alarm_fd(), .events = POLLIN, .revents = 0}};
        const std::chrono::milliseconds wait = settled_ ? -1ms : settling_time;
        const int ready = ::poll(polls.data(), polls.size(), static_cast<int>(wait.count()));
        if (ready < 0)
            continue; // EINTR; there is nothing else
        if (polls[2].revents != 0)
            if (const std::string text = engine_->alarm(); !text.empty())
                log_.error("{}", text);
        if (ready == 0) {
            settle();
        } else if (polls[1].revents != 0) {
            auto verdict = session_ended();
            if (!verdict)
                return pass_on(verdict);
            if (*verdict)
                return **verdict;
        } else if (stop_requested(0ms)) {
            if (const auto verdict = try_stop())
                return *verdict;
        }
    }
}

/// What this helper does is good for its successors too.
void Daemon::settle() {
    settled_ = true;
    if (auto noted = note_tuning(engine_->tuning()); !noted)
        log_.warning("{}", noted.error().message);
}

/// A verdict once the device is stopped; none if it goes on, be it in use or its session ended meanwhile (which the
/// threads report).
std::optional<Verdict> Daemon::try_stop() {
    const auto until = Clock::now() + stop_patience;
    auto stopped = session_->stop();
    while (!stopped && stopped.error().code == EBUSY && Clock::now() < until) {
        std::this_thread::sleep_for(stop_interval);
        stopped = session_->stop();
    }
    if (!stopped && stopped.error().code == EBUSY) {
        const std::string text =
            fmt::format("vramswap{} is in use; swapoff (or unmount) it first; still serving", config_.device);
        log_.warning("{}", text);
        manager_.status(text);
        return std::nullopt;
    }
    if (!stopped) {
        log_.warning("{}", stopped.error().message);
        return std::nullopt;
    }
    const std::string text = fmt::format("vramswap{} is stopped", config_.device);
    log_.info("{}", text);
    manager_.stopping(text);
    (void)session_->finish();
    const Verdict verdict = give_up_contents();
    // While the manager can still see who it was that spoke.
    if (auto synced = manager_.sync(); !synced)
        log_.warning("{}", synced.error().message);
    return verdict;
}

/// A verdict, or none if a new session goes on with the same contents.
Result<std::optional<Verdict>> Daemon::session_ended() {
    const LoopEnd end = session_->finish();
    const policy::After after = end.drained ? policy::after_session(end.cause, end.code) : policy::After::leave_failed;
    if (!end.drained || end.cause == policy::EndCause::engine) {
        log_.error("the engine can do nothing more; the contents are held for a new helper. {}", session_->why());
        (void)note_tuning({}); // which may be at fault
    } else if (end.cause == policy::EndCause::ring) {
        log_.error("the kernel published a request that makes no sense on vramswap{}; leaving", config_.device);
    } else {
        log_.warning("{}", ring_error(Call::enter, end.code, config_.device).message);
    }
    switch (after) {
    case policy::After::leave: {
        const Verdict verdict = give_up_contents();
        (void)manager_.sync(); // it hears only who is still there
        return verdict;
    }
    case policy::After::attach_again:
        if (auto again = attach_again(); !again)
            return pass_on(again);
        return std::nullopt;
    case policy::After::leave_failed:
        break;
    }
    return Verdict{.status = 1, .at_once = !end.drained};
}

/// The kernel let go of a helper that was silent, but the contents are here: a new session, with fresh memory of its
/// own. Tried for as long as the kernel holds the contents, since they may die with this process. Until START nothing
/// may be waited for that could wait for the device.
Result<void> Daemon::attach_again() {
    session_.reset();
    auto again = attach_again_once();
    while (!again && policy::passing(again.error())) {
        std::this_thread::sleep_for(policy::attach_interval); // a request to stop waits until the contents are served
        again = attach_again_once();
    }
    return again;
}

Result<void> Daemon::attach_again_once() {
    auto client = attach_once(record_.cookie);
    if (!client)
        return pass_on(client);
    auto session = Session::prepare(std::move(*client), *engine_, config_);
    if (!session)
        return pass_on(session);
    if (auto started = (*session)->start(); !started)
        return started;
    session_ = std::move(*session);
    log_.info("{}, contents intact", serving_text());
    manager_.status(serving_text());
    return {};
}

/// No successor shall ask for what is gone, and nobody read it. How to end after it: an engine that is at it still must
/// not be waited for.
Verdict Daemon::give_up_contents() {
    Verdict verdict;
    if (engine_)
        if (auto erased = engine_->erase(); !erased) {
            log_.warning("what was stored could not be overwritten: {}", erased.error().message);
            if (erased.error().code == ETIMEDOUT)
                verdict = {.status = EXIT_FAILURE, .at_once = true};
        }
    if (state_)
        if (auto withdrawn = state_->invalidate(); !withdrawn)
            log_.warning("{}", withdrawn.error().message);
    for (const std::string& name : kept_names_)
        manager_.forget(name);
    kept_names_.clear();
    return verdict;
}

} // namespace vramswap
