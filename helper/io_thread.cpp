// SPDX-License-Identifier: MIT
#include "io_thread.hpp"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <csignal>
#include <ctime>

#include "lowmem.hpp"

namespace vramswap {
namespace {

constexpr int kick_signal = SIGUSR1;

/// A kick can come just before the system call that it should interrupt, so it is repeated at this interval.
constexpr long kick_interval_ns = 10'000'000;

void* body_main(void* body) {
    static_cast<IoThread::Body*>(body)->run();
    return nullptr;
}

timespec soon() noexcept {
    timespec time{};
    ::clock_gettime(CLOCK_REALTIME, &time);
    time.tv_nsec += kick_interval_ns;
    if (time.tv_nsec >= 1'000'000'000) {
        time.tv_nsec -= 1'000'000'000;
        ++time.tv_sec;
    }
    return time;
}

} // namespace

Result<void> IoThread::accept_kicks() {
    struct sigaction action{};
    action.sa_handler = [](int) {}; // no SA_RESTART: the call must return EINTR
    if (::sigaction(kick_signal, &action, nullptr) != 0)
        return fail(errno, "could not set a signal handler: {}", errno_text(errno));
    return {};
}

Result<void> IoThread::start(const std::string& name, Body& body) {
    pthread_attr_t attributes{};
    ::pthread_attr_init(&attributes);
    const auto smallest = static_cast<std::size_t>(::sysconf(_SC_THREAD_STACK_MIN));
    ::pthread_attr_setstacksize(&attributes, std::max(lowmem::thread_stack_size, smallest));
    const int code = ::pthread_create(&thread_, &attributes, body_main, &body);
    ::pthread_attr_destroy(&attributes);
    if (code != 0)
        return fail(code, "could not start the thread {}: {}", name, errno_text(code));
    running_ = true;
    (void)::pthread_setname_np(thread_, name.c_str());
    return {};
}

void IoThread::join() noexcept {
    while (running_) {
        ::pthread_kill(thread_, kick_signal);
        const timespec until = soon();
        running_ = ::pthread_timedjoin_np(thread_, nullptr, &until) == ETIMEDOUT;
    }
}

} // namespace vramswap
