// SPDX-License-Identifier: MIT
#pragma once

#include <utility>

#include <sys/types.h>

#include "error.hpp"
#include "fd.hpp"

namespace vramswap {

/// Where standard error is a file, a process of its own that writes to it, for as long as this object lives.
///
/// A file's pages may have been swapped out to our own device (a log in a tmpfs), and whoever writes to them waits for
/// the worker: the keeper could not start one any more, and a worker that is killed while it waits does not end. A pipe
/// is written to only while it has room (Log). Journals, terminals and pipes are left as they are.
class LogWriter {
public:
    /// Call while there are no threads, and once the OOM killer will spare this process: the writer inherits that.
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
