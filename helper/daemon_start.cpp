// SPDX-License-Identifier: MIT
// The way of a helper from its predecessor's descriptors to START.
#include <algorithm>
#include <cerrno>
#include <thread>

#include "daemon.hpp"
#include "device_setup.hpp"
#include "engines.hpp"
#include "lowmem.hpp"

namespace vramswap {
namespace {

using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

/// A service manager closes what it kept whenever it comes to that.
constexpr auto release_patience = 2s;

/// The module was unloaded, or the device deleted: what it held is lost.
bool device_is_gone(const Error& error) {
    return error.code == ENOENT || error.code == ENXIO || error.code == ENODEV;
}

} // namespace

/// Looks at what a predecessor left, and decides between its contents and new ones.
Result<void> Daemon::choose_start() {
    inherited_ = manager_.take_fds();
    policy::Inheritance left;
    for (const InheritedFd& fd : inherited_)
        kept_names_.push_back(fd.name);
    const auto kept = std::ranges::find(inherited_, SessionState::kept_name, &InheritedFd::name);
    if (kept != inherited_.end()) {
        left.record_found = true;
        state_ = SessionState::adopt(std::move(kept->fd));
        if (auto record = state_->read()) {
            record_ = std::move(*record);
            left.record_read = true;
            left.record_valid = record_.valid;
            left.device = record_.device;
            left.engine = record_.engine;
            left.store = record_.store;
            left.memory_found = std::ranges::count(kept_names_, engines::memory_name(record_.engine)) != 0;
        } else {
            log_.warning("{}", record.error().message);
        }
    }
    const policy::StartDecision decision = policy::start(config_, left);
    if (decision.start == policy::Start::refuse)
        return fail(EINVAL, "{}", decision.why);
    if (!decision.why.empty())
        log_.notice("{}", decision.why);
    if (decision.start == policy::Start::fresh)
        begin_anew();
    start_ = decision.start;
    return {};
}

/// New contents. Those of a predecessor are let go of once the kernel has said, by ATTACH, that it holds none.
void Daemon::begin_anew() {
    start_ = policy::Start::fresh;
    left_ = record_;
    record_.valid = false;
    record_.cookie = 0;
}

/// Lets go of what a predecessor left, here, in the keeper and in the service manager.
void Daemon::drop_inheritance() {
    if (inherited_.empty())
        return;
    // Without a record nobody knows what it is.
    if (left_.capacity == 0 && std::ranges::any_of(kept_names_, engines::is_vram))
        log_.warning(
            "what a predecessor stored in a GPU's memory is let go of, but was not overwritten: it left no record");
    engines::erase(left_, inherited_, log_);
    (void)give_up_contents();
    inherited_.clear();
    state_.reset();
    // So that the old store's memory is free before the new one's is asked for.
    if (auto synced = manager_.sync(); !synced)
        log_.warning("{}", synced.error().message);
}

/// One try: a new file each time, as a refused one may have been left half attached.
Result<std::unique_ptr<RingClient>> Daemon::attach_once(std::uint64_t cookie) {
    auto client = RingClient::open(config_.device);
    if (!client)
        return client;
    auto attached = (*client)->attach({.capacity = record_.capacity, .cookie = cookie, .label = record_.label});
    if (!attached)
        return pass_on(attached);
    return client;
}

/// Tries until the device is free or the user's patience is over: a predecessor's end takes the kernel a moment, and
/// memory that is short now may not be so then.
Result<std::unique_ptr<RingClient>> Daemon::attach(std::uint64_t cookie) {
    const auto until = Clock::now() + config_.wait_device;
    for (;;) {
        auto client = attach_once(cookie);
        if (client || !policy::passing(client.error()) || Clock::now() >= until)
            return client;
        if (start_ == policy::Start::resume)
            std::this_thread::sleep_for(
                policy::attach_interval); // contents in use are not given up for being told to stop
        else if (stop_requested(policy::attach_interval))
            return fail(ECANCELED, "stopped while waiting for /dev/vramswapc{}", config_.device);
    }
}

/// Contents that are taken over have their size.
void Daemon::tell_kept_capacity() const {
    if (start_ != policy::Start::resume || !config_.size || !config_.size->constant())
        return;
    if (policy::capacity(config_, {}, 0).value_or(0) != record_.capacity)
        log_.notice("contents of {} are taken over; size counts again after an orderly stop",
                    size_text(record_.capacity));
}

/// New contents are what the files say, which were not read for the sake of the old ones: if the kernel holds none,
/// they are let go of, and the service manager's next start reads the files.
Result<void> Daemon::leave_anew_to_files() {
    record_.capacity = std::max<std::uint64_t>(record_.capacity, VRAMSWAP_MIN_CAPACITY);
    if (auto client = attach(0); !client)
        return pass_on(client);
    drop_inheritance();
    return fail(EAGAIN, "no contents are left to take over; the next start reads the configuration and makes new ones");
}

/// Chooses the engine of new contents and attaches, before memory is asked for: a device that belongs to another helper
/// must not cost gigabytes to find out. A predecessor's engine comes later: if its GPU is gone, the kernel still is to
/// be asked whether it wants the contents at all.
Result<void> Daemon::attach_first() {
    tell_kept_capacity();
    record_.device = config_.device;
    if (start_ == policy::Start::fresh && !config_.files_count)
        return leave_anew_to_files();
    if (start_ == policy::Start::fresh) {
        auto engine = engines::make(config_, record_, left_.engine == EngineChoice::cuda ? left_.capacity : 0, log_);
        if (!engine)
            return pass_on(engine);
        engine_ = std::move(*engine);
        record_.label = engine_->label();
    }
    auto client = attach(record_.cookie);
    if (!client && client.error().code == ESTALE && start_ == policy::Start::resume) {
        log_.warning("{}; beginning anew", client.error().message);
        if (!config_.size)
            config_.size = SizeRule::of(record_.capacity);
        begin_anew();
        return attach_first();
    }
    if (!client && start_ == policy::Start::resume && device_is_gone(client.error())) {
        begin_anew();
        drop_inheritance();
    }
    if (!client)
        return pass_on(client);
    client_ = std::move(*client);
    record_.cookie = client_->cookie();
    return {};
}

/// A predecessor's memory that was let go of may take a moment to be free.
Result<void> Daemon::open_engine() {
    const auto until = Clock::now() + release_patience;
    auto opened = engine_->open(record_.capacity);
    while (!opened && opened.error().code == ENOMEM && left_.capacity != 0 && Clock::now() < until) {
        std::this_thread::sleep_for(policy::attach_interval);
        opened = engine_->open(record_.capacity);
    }
    return opened;
}

Result<void> Daemon::make_contents() {
    if (start_ == policy::Start::fresh) {
        drop_inheritance();
        lowmem::unthrottle_writeback(config_.device, log_);
        return open_engine();
    }
    // Should this come to nothing, the next one does without what may be the reason.
    if (auto noted = note_tuning({}); !noted)
        log_.warning("{}", noted.error().message);
    if (!record_.tuning.empty() && device_was_silent(config_.device)) {
        log_.notice("the helper before did not answer: copies go another way than its own");
        record_.tuning.clear();
    }
    auto engine = engines::resume(config_, record_, log_);
    if (!engine)
        return pass_on(engine);
    engine_ = std::move(*engine);
    auto adopted = engine_->adopt(record_.capacity, inherited_);
    for (const InheritedFd& unknown : inherited_)
        if (unknown.fd)
            log_.notice("the service manager kept a descriptor '{}' that is not used", unknown.name);
    inherited_.clear();
    return adopted;
}

/// Notes for successors how the engine works best.
Result<void> Daemon::note_tuning(const std::string& tuning) {
    Record noted = record_;
    noted.tuning = tuning;
    return state_ ? state_->write(noted) : Result<void>();
}

Result<void> Daemon::keep(const std::string& name, int fd) {
    kept_names_.push_back(name);
    return manager_.keep(name, fd);
}

Result<void> Daemon::keep_descriptors() {
    auto kept = keep(std::string(SessionState::kept_name), state_->fd());
    for (const KeptFd& fd : engine_->kept())
        if (kept)
            kept = keep(fd.name, fd.fd);
    if (!kept)
        return kept;
    return manager_.sync();
}

/// New contents: from here on a successor can take them over. The record is valid before START, not after: a helper
/// that dies in between leaves a cookie that the kernel refuses, which only means to begin anew, while a valid record
/// written too late would lose what was swapped out meanwhile.
Result<void> Daemon::hand_to_manager() {
    if (start_ == policy::Start::resume)
        return {};
    auto state = SessionState::make();
    if (!state)
        return pass_on(state);
    state_ = std::move(*state);
    record_.valid = true;
    if (auto written = state_->write(record_); !written)
        return written;
    if (!manager_.there())
        log_.notice("no service manager keeps the contents: if vramswapd is killed as a whole, {}",
                    config_.store.empty() ? "they are lost" : "no successor can vouch for them");
    // If it does not, the device is served all the same: it is as good as without a manager.
    if (auto kept = keep_descriptors(); !kept)
        log_.warning("{}; if vramswapd is killed, the contents may be lost", kept.error().message);
    return {};
}

Result<void> Daemon::start_first() {
    auto session = Session::prepare(std::move(client_), *engine_, config_);
    if (!session)
        return pass_on(session);
    auto started = in_turn(
        lowmem::lock_memory, lowmem::refuse_oom_kill, [this] { return hand_to_manager(); },
        [&] { return (*session)->start(); });
    if (!started) {
        if (start_ == policy::Start::fresh) {
            (void)give_up_contents();
            (void)manager_.sync(); // it hears only who is still there
        }
        return started;
    }
    session_ = std::move(*session);
    settled_ = false;
    if (const std::string remarks = engine_->remarks(); !remarks.empty())
        log_.notice("{}", remarks);
    was_live_ = true;
    log_.info("{}{}", serving_text(), start_ == policy::Start::resume ? ", contents taken over" : "");
    manager_.ready(serving_text());
    return {};
}

} // namespace vramswap
