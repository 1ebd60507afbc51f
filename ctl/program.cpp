// SPDX-License-Identifier: MIT
#include "program.hpp"

#include "fd.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace vramswap::ctl {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::array folders{"/usr/local/sbin/", "/usr/local/bin/", "/usr/sbin/", "/usr/bin/", "/sbin/", "/bin/"};

/// Where a program is; its name alone if it is nowhere. PATH is not asked: this runs as root.
std::string find_program(const std::string& name) {
    for (const char* const folder : folders)
        if (::access((folder + name).c_str(), X_OK) == 0)
            return folder + name;
    return name;
}

Result<Fd> open_null() {
    Fd null(::open("/dev/null", O_WRONLY | O_CLOEXEC));
    if (!null)
        return fail(errno, "/dev/null cannot be opened: {}", errno_text(errno));
    return null;
}

/// Starts it with its standard output and error there.
Result<pid_t> start(const std::vector<std::string>& words, int out, int error) {
    std::vector<char*> arguments;
    for (const std::string& word : words)
        arguments.push_back(const_cast<char*>(word.c_str())); // NOLINT(cppcoreguidelines-pro-type-const-cast)
    arguments.push_back(nullptr);
    posix_spawn_file_actions_t actions{};
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, error, STDERR_FILENO);
    pid_t child = 0;
    const int code =
        ::posix_spawn(&child, find_program(words.front()).c_str(), &actions, nullptr, arguments.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    if (code != 0)
        return fail(code, "{} cannot be run: {}", words.front(), errno_text(code));
    return child;
}

Result<void> wait_for(pid_t child, const std::string& name) {
    int status = 0;
    while (::waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            return fail(errno, "{} cannot be waited for: {}", name, errno_text(errno));
    if (WIFSIGNALED(status))
        return fail(EIO, "{} was killed by signal {}", name, WTERMSIG(status));
    if (WEXITSTATUS(status) != 0)
        return fail(EIO, "{} failed (status {})", name, WEXITSTATUS(status));
    return {};
}

/// Can it be read, or has it ended, by then?
bool ready(const Fd& fd, Clock::time_point until) {
    pollfd look{.fd = fd.get(), .events = POLLIN, .revents = 0};
    for (;;) {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now()).count();
        const int found = ::poll(&look, 1, static_cast<int>(std::max<decltype(left)>(left, 0)));
        if (found >= 0 || errno != EINTR)
            return found > 0;
    }
}

} // namespace

Result<void> run_program(const std::vector<std::string>& words) {
    auto null = open_null();
    if (!null)
        return pass_on(null);
    auto child = start(words, null->get(), STDERR_FILENO);
    if (!child)
        return pass_on(child);
    return wait_for(*child, words.front());
}

Result<std::string> output_of_program(const std::vector<std::string>& words, std::chrono::milliseconds limit) {
    const auto until = Clock::now() + limit;
    auto null = open_null();
    if (!null)
        return pass_on(null);
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0)
        return fail(errno, "no pipe is to be had: {}", errno_text(errno));
    const Fd from(ends[0]);
    Fd to(ends[1]);
    auto child = start(words, to.get(), null->get());
    to = Fd();
    if (!child)
        return pass_on(child);
    std::string text;
    std::array<char, 4096> part{};
    for (ssize_t got = 0; ready(from, until) && (got = ::read(from.get(), part.data(), part.size())) > 0;)
        text.append(part.data(), static_cast<std::size_t>(got));
    if (const Fd life(static_cast<int>(::syscall(SYS_pidfd_open, *child, 0))); !ready(life, until)) {
        static_cast<void>(::kill(*child, SIGKILL));
        return fail(ETIMEDOUT, "{} has not ended within {} ms", words.front(), limit.count());
    }
    if (auto ended = wait_for(*child, words.front()); !ended)
        return pass_on(ended);
    return text;
}

} // namespace vramswap::ctl
