// SPDX-License-Identifier: MIT
// Processes that a check starts, and what goes between them and it.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <new>
#include <string>
#include <type_traits>
#include <vector>

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>

#include <helper/engine.hpp>
#include <helper/fd.hpp>

#include "setting.hpp"

namespace vramswap::bench {

/// What a child process has to say.
struct Message {
    std::array<char, 480> text{};
    Verdict verdict = Verdict::failed;
    std::uint64_t figure = 0;
};

void say(int socket, Verdict verdict, const std::string& text, std::uint64_t figure = 0);

/// What it says; if it does not, within so long, a failure.
[[nodiscard]] Message hear(int socket, std::chrono::milliseconds patience);

/// Runs `work` in a child, with one end of a socket; returns the other end and the child, or -1. This process must not
/// have used CUDA, nor have threads.
template<class Work>
pid_t in_child(Fd& socket, Work work) {
    std::array<int, 2> pair{};
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair.data()) != 0)
        return -1;
    socket = Fd(pair[0]);
    const Fd other(pair[1]);
    const pid_t child = ::fork();
    if (child != 0)
        return child;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    work(other.get());
    ::_exit(0);
}

/// Kills a child, if there is one, and waits for its end. One that a broken driver does not let go is left after some
/// seconds.
void end(pid_t child);

/// Waits for a child to end by itself; false if it had to be killed.
bool leave(pid_t child, std::chrono::milliseconds patience);

/// Descriptors. One with an empty name is the last; text that comes without a descriptor tells why there are no more.
bool send_fd(int socket, const std::string& name, int fd);
[[nodiscard]] std::vector<InheritedFd> receive_fds(int socket, std::string& why);

/// Something that a process has in common with those that it starts later.
template<class Thing>
class Shared {
    static_assert(std::is_trivially_destructible_v<Thing>);

public:
    Shared() : place_(::mmap(nullptr, sizeof(Thing), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)) {
        if (place_ == MAP_FAILED)
            throw std::bad_alloc();
        thing_ = new (place_) Thing();
    }
    Shared(const Shared&) = delete;
    Shared& operator=(const Shared&) = delete;
    Shared(Shared&&) = delete;
    Shared& operator=(Shared&&) = delete;
    ~Shared() { ::munmap(place_, sizeof(Thing)); }

    [[nodiscard]] Thing& operator*() const noexcept { return *thing_; }
    [[nodiscard]] Thing* operator->() const noexcept { return thing_; }

private:
    void* place_;
    Thing* thing_ = nullptr;
};

} // namespace vramswap::bench
