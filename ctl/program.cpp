// SPDX-License-Identifier: MIT
#include "program.hpp"

#include "fd.hpp"

#include <array>
#include <cerrno>

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

namespace vramswap::ctl {
namespace {

constexpr std::array folders{"/usr/local/sbin/", "/usr/local/bin/", "/usr/sbin/", "/usr/bin/", "/sbin/", "/bin/"};

/// Where a program is; its name alone if it is nowhere. PATH is not asked: this runs as root.
std::string find_program(const std::string& name) {
    for (const char* const folder : folders)
        if (::access((folder + name).c_str(), X_OK) == 0)
            return folder + name;
    return name;
}

/// Starts it with its standard output at `out`.
Result<pid_t> start(const std::vector<std::string>& words, int out) {
    std::vector<char*> arguments;
    for (const std::string& word : words)
        arguments.push_back(const_cast<char*>(word.c_str())); // NOLINT(cppcoreguidelines-pro-type-const-cast)
    arguments.push_back(nullptr);
    posix_spawn_file_actions_t actions{};
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
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

} // namespace

Result<void> run_program(const std::vector<std::string>& words) {
    const Fd null(::open("/dev/null", O_WRONLY | O_CLOEXEC));
    if (!null)
        return fail(errno, "/dev/null cannot be opened: {}", errno_text(errno));
    auto child = start(words, null.get());
    if (!child)
        return pass_on(child);
    return wait_for(*child, words.front());
}

Result<std::string> output_of_program(const std::vector<std::string>& words) {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0)
        return fail(errno, "no pipe is to be had: {}", errno_text(errno));
    const Fd from(ends[0]);
    Fd to(ends[1]);
    auto child = start(words, to.get());
    to = Fd();
    if (!child)
        return pass_on(child);
    std::string text;
    std::array<char, 4096> part{};
    for (ssize_t got = 0; (got = ::read(from.get(), part.data(), part.size())) > 0;)
        text.append(part.data(), static_cast<std::size_t>(got));
    if (auto ended = wait_for(*child, words.front()); !ended)
        return pass_on(ended);
    return text;
}

} // namespace vramswap::ctl
