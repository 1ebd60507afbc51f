// SPDX-License-Identifier: MIT
#pragma once

#include <utility>

#include <sys/types.h>

#include "error.hpp"
#include "fd.hpp"

namespace vramswap {

/// A process of its own that writes to standard error, for as long as this object lives, unless that is a socket.
///
/// Whoever writes to a file waits for its pages, which may have been swapped out to our own device (a log in a tmpfs);
/// whoever writes to a pipe or a terminal may wait for its reader, who holds a lock while he waits for a page of his. A
/// keeper that waits so cannot start a worker any more, and a worker that is killed meanwhile does not end. A socket,
/// such as a journal's, can be written to without ever waiting (Log); so can the pipe to this process, since nobody
/// waits while he reads from it: its memory is locked.
class LogWriter {
public:
    /// Standard error is a pipe that does not block, afterwards. Call while there are no threads, and once the OOM
    /// killer will spare this process: the writer inherits that.
    [[nodiscard]] static Result<LogWriter> start();

    LogWriter() = default;
    LogWriter(const LogWriter&) = delete;
    LogWriter& operator=(const LogWriter&) = delete;
    LogWriter(LogWriter&& other) noexcept : file_(std::move(other.file_)), writer_(std::exchange(other.writer_, 0)) {}
    LogWriter& operator=(LogWriter&&) = delete;

    /// Waits a moment for the last lines to be written.
    ~LogWriter();

private:
    LogWriter(Fd file, pid_t writer) : file_(std::move(file)), writer_(writer) {}

    Fd file_; ///< what standard error was
    pid_t writer_ = 0;
};

} // namespace vramswap
