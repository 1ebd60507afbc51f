// SPDX-License-Identifier: MIT
// What the process makes sure of before it owns anything.
#include "catch.hpp"

#include <csignal>
#include <cstdlib>

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <helper/process.hpp>

using namespace vramswap;

namespace {

/// What `check` says, asked in a process of its own.
template<typename Check>
bool in_child(Check check) {
    const pid_t child = ::fork();
    if (child == 0)
        std::_Exit(check() ? EXIT_SUCCESS : EXIT_FAILURE);
    int status = 0;
    return ::waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS;
}

} // namespace

TEST_CASE("no descriptor that is kept can take the place of a standard file") {
    CHECK(in_child([] {
        for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
            ::close(fd);
        return process::have_standard_files() && ::open("/dev/null", O_RDONLY) > STDERR_FILENO &&
               ::write(STDERR_FILENO, "x", 1) == 1;
    }));
}

TEST_CASE("standard files that are there stay what they are") {
    CHECK(in_child([] {
        const int file = ::open("/proc/self/status", O_RDONLY);
        ::dup2(file, STDIN_FILENO);
        char first = 0;
        return process::have_standard_files() && ::read(STDIN_FILENO, &first, 1) == 1 && first == 'N';
    }));
}

TEST_CASE("signals to stop wait, and the others of a terminal or a user do nothing") {
    CHECK(in_child([] {
        if (!process::hold_signals_back())
            return false;
        for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGALRM, SIGPIPE, SIGTSTP})
            ::raise(signal);
        sigset_t pending;
        ::sigpending(&pending);
        return ::sigismember(&pending, SIGTERM) == 1 && ::sigismember(&pending, SIGINT) == 1 &&
               ::sigismember(&pending, SIGQUIT) == 0;
    }));
}

TEST_CASE("a crash leaves no core") {
    CHECK(in_child([] { return process::refuse_core_dumps() && ::prctl(PR_GET_DUMPABLE) == 0; }));
}
