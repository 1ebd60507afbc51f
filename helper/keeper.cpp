// SPDX-License-Identifier: MIT
#include "keeper.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <optional>
#include <thread>

#include <poll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "process.hpp"
#include "session_state.hpp"

namespace vramswap {
namespace {

using namespace std::chrono_literals;

constexpr auto sync_patience = 5s;

/// Before another start, after so many that came to nothing: none at first, then twice as long each time.
std::chrono::milliseconds delay_before(unsigned starts) {
    constexpr auto first = 50ms;
    constexpr auto longest = 5s;
    if (starts <= 1)
        return 0ms;
    return std::min<std::chrono::milliseconds>(first * (1U << std::min(starts - 2, 10U)), longest);
}

/// A worker that was live for less has not proved that it can live.
constexpr auto moment = 1s;

/// What a shell reports for a process that a signal ended.
constexpr int killed_status = 128;

enum class Kind : char { keep = 'K', forget = 'F', live = 'L', sync = 'S', dropped = 'D' };

struct Message {
    Kind kind{};
    std::array<char, 63> name{}; ///< ends with a zero

    Message() = default;
    Message(Kind what, std::string_view text) : kind(what) { text.copy(name.data(), name.size() - 1); }
};

/// A message, and a descriptor with it if there is one. 0 or an errno.
int send_message(int socket, const Message& message, int fd = -1) {
    Message copy = message;
    iovec text{.iov_base = &copy, .iov_len = sizeof copy};
    alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(sizeof fd)> control{};
    msghdr header{};
    header.msg_iov = &text;
    header.msg_iovlen = 1;
    if (fd >= 0) {
        header.msg_control = control.data();
        header.msg_controllen = control.size();
        cmsghdr* const part = CMSG_FIRSTHDR(&header);
        part->cmsg_level = SOL_SOCKET;
        part->cmsg_type = SCM_RIGHTS;
        part->cmsg_len = CMSG_LEN(sizeof fd);
        std::memcpy(CMSG_DATA(part), &fd, sizeof fd);
    }
    return ::sendmsg(socket, &header, MSG_NOSIGNAL) < 0 ? errno : 0;
}

struct Heard {
    Message message;
    Fd fd;
};

/// The next message, if one is there.
std::optional<Heard> receive_message(int socket) {
    Heard heard;
    iovec text{.iov_base = &heard.message, .iov_len = sizeof heard.message};
    alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(sizeof(int))> control{};
    msghdr header{};
    header.msg_iov = &text;
    header.msg_iovlen = 1;
    header.msg_control = control.data();
    header.msg_controllen = control.size();
    if (::recvmsg(socket, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) != sizeof heard.message)
        return std::nullopt;
    if (const cmsghdr* const part = CMSG_FIRSTHDR(&header); part != nullptr && part->cmsg_type == SCM_RIGHTS) {
        int fd = -1;
        std::memcpy(&fd, CMSG_DATA(part), sizeof fd);
        heard.fd = Fd(fd);
    }
    heard.message.name.back() = '\0';
    return heard;
}

/// A memfd's pages stay in RAM only while somebody has them locked.
bool is_memfd(int fd) {
    std::error_code error;
    return std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(fd), error).string().starts_with("/memfd:");
}

sigset_t signals_heard() {
    sigset_t signals = process::stop_signals();
    ::sigaddset(&signals, SIGCHLD);
    return signals;
}

} // namespace

// ---- the worker's side ----

Result<void> KeeperLink::keep(std::string_view name, int fd) const {
    if (!socket_)
        return {};
    if (const int code = send_message(socket_.get(), {Kind::keep, name}, fd); code != 0)
        return fail(code, "could not hand {} to the keeper: {}", name, errno_text(code));
    return {};
}

void KeeperLink::forget(std::string_view name) const {
    if (socket_)
        (void)send_message(socket_.get(), {Kind::forget, name});
}

void KeeperLink::live() const {
    if (socket_)
        (void)send_message(socket_.get(), {Kind::live, {}});
}

Result<void> KeeperLink::sync() {
    if (!socket_)
        return {};
    const std::string number = std::to_string(++syncs_);
    if (const int code = send_message(socket_.get(), {Kind::sync, number}); code != 0)
        return fail(code, "the keeper is gone: {}", errno_text(code));
    pollfd poll{.fd = socket_.get(), .events = POLLIN, .revents = 0};
    while (::poll(&poll, 1, static_cast<int>(std::chrono::milliseconds(sync_patience).count())) > 0) {
        const auto heard = receive_message(socket_.get());
        if (!heard)
            break;
        if (heard->message.name.data() != number)
            continue;
        if (heard->message.kind == Kind::dropped)
            return fail(EMFILE, "the keeper could not take a descriptor");
        return {};
    }
    return fail(ETIMEDOUT, "the keeper does not answer");
}

// ---- the keeper ----

Keeper::Keeper(std::vector<InheritedFd> kept, const Log& log) : log_(log), inherited_(!kept.empty()) {
    for (InheritedFd& file : kept)
        keep(file.name, std::move(file.fd));
}

Keeper::~Keeper() {
    for (const Kept& kept : kept_)
        if (kept.memory != nullptr)
            ::munmap(kept.memory, kept.size);
}

void Keeper::keep(std::string_view name, Fd fd) {
    Kept kept{.file = {.name = std::string(name), .fd = std::move(fd)}};
    struct stat status{};
    if (is_memfd(kept.file.fd.get()) && ::fstat(kept.file.fd.get(), &status) == 0 && status.st_size > 0) {
        kept.size = static_cast<std::size_t>(status.st_size);
        void* const memory = ::mmap(nullptr, kept.size, PROT_READ, MAP_SHARED, kept.file.fd.get(), 0);
        // The worker maps it for itself.
        if (memory != MAP_FAILED &&
            (::madvise(memory, kept.size, MADV_DONTFORK) != 0 || ::mlock(memory, kept.size) != 0))
            log_.warning("the keeper could not lock {} in memory: {}", name, errno_text(errno));
        kept.memory = memory == MAP_FAILED ? nullptr : memory;
    }
    kept_.push_back(std::move(kept));
}

void Keeper::forget(std::string_view name) {
    for (const Kept& kept : kept_)
        if (kept.file.name == name && kept.memory != nullptr)
            ::munmap(kept.memory, kept.size);
    std::erase_if(kept_, [&](const Kept& kept) { return kept.file.name == name; });
}

Result<int> Keeper::run(const Work& work, const std::function<void()>& before_successor) {
    const sigset_t heard = signals_heard();
    // Whatever we inherited: dead workers shall be reported.
    (void)::signal(SIGCHLD, SIG_DFL);
    if (::sigprocmask(SIG_BLOCK, &heard, &outside_) != 0) // NOLINT(concurrency-mt-unsafe): there are no threads
        return fail(errno, "could not block signals: {}", errno_text(errno));
    signals_ = Fd(::signalfd(-1, &heard, SFD_CLOEXEC | SFD_NONBLOCK));
    if (!signals_)
        return fail(errno, "could not make a signalfd: {}", errno_text(errno));
    if (auto spawned = spawn(work); !spawned)
        return pass_on(spawned);
    while (!over_) {
        if (worker_ != 0) {
            listen();
            continue;
        }
        std::this_thread::sleep_for(delay_before(starts_)); // signals wait for the next worker
        before_successor();
        if (auto spawned = spawn(work); !spawned)
            log_.warning("{}", spawned.error().message);
    }
    return status_;
}

Result<void> Keeper::spawn(const Work& work) {
    ++starts_;
    std::array<int, 2> pair{};
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair.data()) != 0)
        return fail(errno, "could not make a socket for the worker: {}", errno_text(errno));
    socket_ = Fd(pair[0]);
    Fd other(pair[1]);
    const pid_t keeper = ::getpid();
    const pid_t pid = ::fork();
    if (pid < 0)
        return fail(errno, "could not start a worker: {}", errno_text(errno));
    if (pid == 0)
        become_worker(work, std::move(other), keeper);
    worker_ = pid;
    pass_signal_on();
    return {};
}

void Keeper::become_worker(const Work& work, Fd socket, pid_t keeper) {
    // A worker that nobody keeps would be in the way of the next keeper.
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != keeper)
        std::_Exit(EXIT_FAILURE);
    // A terminal's signals reach it through the keeper, and once.
    (void)::setpgid(0, 0);
    signals_ = Fd();
    socket_ = Fd();
    // A signal to stop that is under way already stays blocked until the worker looks for it.
    const sigset_t stop = process::stop_signals();
    sigset_t blocked{};
    ::sigorset(&blocked, &outside_, &stop);
    ::sigprocmask(SIG_SETMASK, &blocked, nullptr); // NOLINT(concurrency-mt-unsafe): there are no threads
    std::vector<InheritedFd> kept;
    kept.reserve(kept_.size());
    for (Kept& one : kept_)
        kept.push_back(std::move(one.file));
    std::_Exit(work({std::move(socket), std::move(kept)}));
}

/// Until something has happened. Signals are taken before the looks that they ask for: a death after the look is told
/// by a signal that is still there.
void Keeper::listen() {
    std::array polls{pollfd{.fd = signals_.get(), .events = POLLIN, .revents = 0},
                     pollfd{.fd = socket_.get(), .events = POLLIN, .revents = 0}};
    if (::poll(polls.data(), polls.size(), -1) <= 0)
        return;
    take_signals();
    while (hear()) {
    }
    // Closed already, while its owner is still ending: there is nothing more to hear, but its death.
    if ((polls[1].revents & (POLLHUP | POLLERR)) != 0)
        socket_ = Fd();
    look_after_worker();
    pass_signal_on();
}

/// Is the worker dead? Its last words are heard then.
void Keeper::look_after_worker() {
    int status = 0;
    if (worker_ == 0 || ::waitpid(worker_, &status, WNOHANG) != worker_)
        return;
    while (hear()) {
    }
    bury(status);
}

void Keeper::take_signals() {
    signalfd_siginfo info{};
    while (::read(signals_.get(), &info, sizeof info) == sizeof info)
        if (info.ssi_signo != SIGCHLD)
            stop_signal_ = static_cast<int>(info.ssi_signo);
}

/// To a worker that serves, and to the first, which has nothing to lose yet. Another that is not live must not give up:
/// it is told when it serves, and says itself whether it may stop.
void Keeper::pass_signal_on() {
    if (stop_signal_ == 0 || worker_ == 0 || (!live_ && served_))
        return;
    passed_on_ = std::exchange(stop_signal_, 0);
    (void)::kill(worker_, passed_on_);
}

/// Takes one message; false if there is none.
bool Keeper::hear() {
    auto heard = worker_ != 0 ? receive_message(socket_.get()) : std::nullopt;
    if (!heard)
        return false;
    switch (heard->message.kind) {
    case Kind::keep:
        dropped_ = dropped_ || !heard->fd; // this process may have too many already
        if (heard->fd)
            keep(heard->message.name.data(), std::move(heard->fd));
        break;
    case Kind::forget:
        forget(heard->message.name.data());
        break;
    case Kind::live:
        served_ = true;
        live_ = true;
        live_since_ = std::chrono::steady_clock::now();
        pass_signal_on();
        break;
    case Kind::sync:
        if (std::exchange(dropped_, false))
            heard->message.kind = Kind::dropped;
        (void)send_message(socket_.get(), heard->message);
        break;
    case Kind::dropped:
        break;
    }
    return true;
}

/// The worker is dead: is there anything to go on with?
void Keeper::bury(int status) {
    worker_ = 0;
    const bool exited = WIFEXITED(status);
    const int code = exited ? WEXITSTATUS(status) : WTERMSIG(status);
    const bool contents =
        std::ranges::any_of(kept_, [](const Kept& kept) { return kept.file.name == SessionState::kept_name; });
    if (std::exchange(live_, false) && std::chrono::steady_clock::now() - live_since_ > moment)
        starts_ = 0;
    if (!contents || (exited && (code == 0 || code == hopeless_status || !(served_ || inherited_)))) {
        over_ = true;
        status_ = exited ? code : killed_status + code;
        if (!exited)
            log_.error("the worker was killed by signal {} and leaves no contents", code);
        return;
    }
    // Whatever it was told to do before it died, it has not done.
    if (const int told = std::exchange(passed_on_, 0); stop_signal_ == 0)
        stop_signal_ = told;
    log_.warning("the worker {} {}; its contents are kept for the next one",
                 exited ? "ended with status" : "was killed by signal", code);
}

} // namespace vramswap
