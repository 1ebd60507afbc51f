// SPDX-License-Identifier: MIT
#include "process.hpp"

#include <cerrno>
#include <csignal>

#include <fcntl.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "fd.hpp"

namespace vramswap::process {

Result<void> have_standard_files() {
    for (;;) {
        Fd file(::open("/dev/null", O_RDWR));
        if (!file)
            return fail(errno, "could not open /dev/null: {}", errno_text(errno));
        if (file.get() > STDERR_FILENO)
            return {};
        (void)file.release(); // it stays where one was missing
    }
}

sigset_t stop_signals() {
    sigset_t signals;
    ::sigemptyset(&signals);
    for (const int signal : {SIGTERM, SIGINT, SIGHUP})
        ::sigaddset(&signals, signal);
    return signals;
}

Result<void> hold_signals_back() {
    const sigset_t signals = stop_signals();
    if (const int code = ::pthread_sigmask(SIG_BLOCK, &signals, nullptr); code != 0)
        return fail(code, "could not block signals: {}", errno_text(code));
    // SIGPIPE: a reader of our lines that ends must not end us.
    for (const int signal : {SIGPIPE, SIGQUIT, SIGUSR1, SIGUSR2, SIGALRM, SIGVTALRM, SIGTSTP, SIGTTIN, SIGTTOU})
        (void)::signal(signal, SIG_IGN);
    return {};
}

Result<void> refuse_core_dumps() {
    if (::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
        return fail(errno, "could not refuse core dumps: {}", errno_text(errno));
    return {};
}

} // namespace vramswap::process
