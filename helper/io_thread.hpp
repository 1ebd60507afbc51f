// SPDX-License-Identifier: MIT
#pragma once

#include <string>

#include <pthread.h>

#include "error.hpp"

namespace vramswap {

/// A thread with a small stack of fixed size that can be called out of a system call. Joined by join or destruction,
/// which wait for the body to return.
class IoThread {
public:
    /// What the thread runs.
    class Body {
    public:
        Body() = default;
        Body(const Body&) = delete;
        Body& operator=(const Body&) = delete;
        Body(Body&&) = delete;
        Body& operator=(Body&&) = delete;
        virtual ~Body() = default;
        virtual void run() noexcept = 0;
    };

    IoThread() = default;
    IoThread(const IoThread&) = delete;
    IoThread& operator=(const IoThread&) = delete;
    IoThread(IoThread&&) = delete;
    IoThread& operator=(IoThread&&) = delete;
    ~IoThread() { join(); }

    /// Once for the process, before threads: lets the kick interrupt a system call and do nothing else.
    static Result<void> accept_kicks();

    /// Starts the thread. `body` is borrowed until the thread is joined; `name` is for people, 15 bytes at most.
    [[nodiscard]] Result<void> start(const std::string& name, Body& body);

    /// Kicks the thread until it has ended. Does nothing without a thread.
    void join() noexcept;

private:
    pthread_t thread_{};
    bool running_ = false;
};

} // namespace vramswap
