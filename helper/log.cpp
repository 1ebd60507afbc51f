// SPDX-License-Identifier: MIT
#include "log.hpp"

#include <cerrno>
#include <cstdlib>
#include <string>

#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

namespace vramswap {
namespace {

/// JOURNAL_STREAM names device and inode of the journal's stream; it is inherited even where standard error has been
/// redirected since, hence the comparison.
bool journal_reads_standard_error() {
    const char* const stream = std::getenv("JOURNAL_STREAM"); // NOLINT(concurrency-mt-unsafe): no threads yet
    struct stat status{};
    if (stream == nullptr || ::fstat(STDERR_FILENO, &status) != 0)
        return false;
    return fmt::format("{}:{}", status.st_dev, status.st_ino) == stream;
}

} // namespace

Log Log::to_standard_error() {
    return Log(journal_reads_standard_error());
}

/// A line that would have to be waited for is dropped: by a socket's own means, or those of LogWriter's pipe; asking
/// first does for whatever standard error is before that.
void Log::line(int priority, std::string_view text) const {
    const std::string whole = prefixed_ ? fmt::format("<{}>{}\n", priority, text) : fmt::format("{}\n", text);
    if (::send(STDERR_FILENO, whole.data(), whole.size(), MSG_DONTWAIT | MSG_NOSIGNAL) >= 0 || errno != ENOTSOCK)
        return;
    pollfd poll{.fd = STDERR_FILENO, .events = POLLOUT, .revents = 0};
    if (::poll(&poll, 1, 0) > 0)
        (void)!::write(STDERR_FILENO, whole.data(), whole.size());
}

} // namespace vramswap
