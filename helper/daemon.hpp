// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <vector>

#include "config.hpp"
#include "engine.hpp"
#include "fd.hpp"
#include "log.hpp"
#include "policy.hpp"
#include "service_manager.hpp"
#include "session.hpp"
#include "session_state.hpp"

namespace vramswap {

/// How the program is to end.
struct Verdict {
    int status = 0;       ///< exit status
    bool at_once = false; ///< without destructors: transfers are still under way, and only the process's end ends them
};

/// Owns everything and leads it from start to end, in the order of docs/DESIGN: process prepared, predecessor's
/// descriptors, device attached, engine, session, memory locked, START.
class Daemon {
public:
    Daemon(Config config, KeeperLink keeper, const Log& log)
        : config_(std::move(config)), log_(log), manager_(std::move(keeper)) {}

    /// What must be before the worker is started, and holds for the keeper too: a size that makes sense, memory that is
    /// never waited for, locked, and spared by the OOM killer.
    [[nodiscard]] static Result<void> prepare_keeper(const Config& config);

    /// Runs until the device is stopped or cannot be served any more. Called once.
    [[nodiscard]] Verdict run();

private:
    [[nodiscard]] Result<Verdict> lead();

    // Before going live.
    [[nodiscard]] Result<void> prepare_process();
    [[nodiscard]] Result<void> choose_start();
    [[nodiscard]] Result<void> go_live();
    [[nodiscard]] Result<void> attach_first();
    [[nodiscard]] Result<void> leave_anew_to_files();
    [[nodiscard]] Result<void> note_tuning(const std::string& tuning);
    void tell_kept_capacity() const;
    [[nodiscard]] Result<void> open_engine();
    [[nodiscard]] Result<std::unique_ptr<RingClient>> attach(std::uint64_t cookie);
    [[nodiscard]] Result<std::unique_ptr<RingClient>> attach_once(std::uint64_t cookie);
    [[nodiscard]] Result<void> make_contents();
    [[nodiscard]] Result<void> keep_descriptors();
    [[nodiscard]] Result<void> keep(const std::string& name, int fd);
    [[nodiscard]] Result<void> hand_to_manager();
    [[nodiscard]] Result<void> start_first();
    void begin_anew();
    void drop_inheritance();

    // Live.
    [[nodiscard]] Result<Verdict> serve();
    void settle();
    [[nodiscard]] std::optional<Verdict> try_stop();
    [[nodiscard]] Result<std::optional<Verdict>> session_ended();
    [[nodiscard]] Result<void> attach_again();
    [[nodiscard]] Result<void> attach_again_once();
    [[nodiscard]] Verdict give_up_contents();
    [[nodiscard]] bool stop_requested(std::chrono::milliseconds wait) const;
    [[nodiscard]] std::string serving_text() const;

    Config config_;
    Log log_;
    ServiceManager manager_;
    Fd signals_; ///< signalfd of the signals that mean: stop
    std::vector<InheritedFd> inherited_;
    std::vector<std::string> kept_names_; ///< of what others keep for us
    policy::Start start_ = policy::Start::fresh;
    Record record_; ///< of the contents served
    Record left_;   ///< of a predecessor's contents that are not served
    std::optional<SessionState> state_;
    std::unique_ptr<Engine> engine_;
    std::unique_ptr<RingClient> client_; ///< attached, until a session takes it
    std::unique_ptr<Session> session_;
    bool was_live_ = false;
    bool settled_ = true; ///< nothing is to be noted for successors
};

} // namespace vramswap
