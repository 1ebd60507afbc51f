// SPDX-License-Identifier: MIT
#include "log_writer.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace vramswap {
namespace {

/// The last lines get so long at the end: polls, and microseconds between them.
constexpr int last_polls = 100;
constexpr useconds_t last_interval = 10000;

/// Until nobody has the pipe's other end any more.
[[noreturn]] void write_lines(int pipe, int file) {
    // It ends after all others, whoever is told to end.
    for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGPIPE, SIGTTOU})
        (void)::signal(signal, SIG_IGN);
    (void)::setpgid(0, 0);
    (void)::prctl(PR_SET_NAME, "vramswapd-log");
    // What a parent has locked is not locked in its child.
    (void)::mlockall(MCL_CURRENT);
    std::array<char, 4096> lines{};
    for (;;) {
        const ssize_t size = ::read(pipe, lines.data(), lines.size());
        if (size < 0 && errno == EINTR)
            continue;
        if (size <= 0)
            std::_Exit(EXIT_SUCCESS);
        // If it fails, nobody could be told.
        [[maybe_unused]] const ssize_t written = ::write(file, lines.data(), static_cast<std::size_t>(size));
    }
}

} // namespace

Result<LogWriter> LogWriter::start() {
    struct stat status{};
    if (::fstat(STDERR_FILENO, &status) != 0 || S_ISSOCK(status.st_mode))
        return LogWriter();
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0)
        return fail(errno, "could not make a pipe for the log: {}", errno_text(errno));
    const Fd reading(ends[0]);
    const Fd writing(ends[1]);
    Fd file(::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0));
    const pid_t writer = ::fork();
    if (writer < 0)
        return fail(errno, "could not start a process for the log: {}", errno_text(errno));
    if (writer == 0) {
        // Nothing that somebody waits to see closed: not the pipe's other end, no store.
        constexpr int pipe_place = 0;
        constexpr int file_place = 1;
        if (::dup2(reading.get(), pipe_place) < 0 || ::dup2(file.get(), file_place) < 0 ||
            ::close_range(file_place + 1, ~0U, 0) != 0)
            std::_Exit(EXIT_FAILURE);
        write_lines(pipe_place, file_place);
    }
    if (::fcntl(writing.get(), F_SETFL, O_NONBLOCK) != 0 || ::dup2(writing.get(), STDERR_FILENO) < 0)
        return fail(errno, "could not redirect the log: {}", errno_text(errno));
    return LogWriter(std::move(file), writer);
}

LogWriter::~LogWriter() {
    if (writer_ == 0)
        return;
    (void)::dup2(file_.get(), STDERR_FILENO);
    for (int i = 0; i < last_polls && ::waitpid(writer_, nullptr, WNOHANG) == 0; ++i)
        (void)::usleep(last_interval);
}

} // namespace vramswap
