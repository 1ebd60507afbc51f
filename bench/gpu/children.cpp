// SPDX-License-Identifier: MIT
#include "children.hpp"

#include <cstring>
#include <string_view>
#include <thread>

#include <poll.h>
#include <sys/wait.h>

namespace vramswap::bench {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr std::size_t name_room = 64;

/// True once it is gone.
bool gone_within(pid_t child, std::chrono::milliseconds patience) {
    const auto until = Clock::now() + patience;
    while (::waitpid(child, nullptr, WNOHANG) == 0) {
        if (Clock::now() >= until)
            return false;
        std::this_thread::sleep_for(1ms);
    }
    return true;
}

} // namespace

void say(int socket, Verdict verdict, const std::string& text, std::uint64_t figure) {
    Message message{.verdict = verdict, .figure = figure};
    text.copy(message.text.data(), message.text.size() - 1);
    (void)!::write(socket, &message, sizeof message);
}

Message hear(int socket, std::chrono::milliseconds patience) {
    Message message;
    pollfd poll{.fd = socket, .events = POLLIN, .revents = 0};
    if (::poll(&poll, 1, static_cast<int>(patience.count())) == 1 &&
        ::read(socket, &message, sizeof message) == sizeof message)
        return message;
    message = {};
    constexpr std::string_view why = "the process that should have told died, or is silent";
    why.copy(message.text.data(), message.text.size() - 1);
    return message;
}

bool leave(pid_t child, std::chrono::milliseconds patience) {
    if (child <= 0)
        return false;
    if (gone_within(child, patience))
        return true;
    ::kill(child, SIGKILL);
    (void)gone_within(child, 5s);
    return false;
}

void end(pid_t child) {
    (void)leave(child, 0ms);
}

bool send_fd(int socket, const std::string& name, int fd) {
    std::array<char, name_room> text{};
    name.copy(text.data(), text.size() - 1);
    iovec part{.iov_base = text.data(), .iov_len = text.size()};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof fd)> control{};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* const header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof fd);
    std::memcpy(CMSG_DATA(header), &fd, sizeof fd);
    return ::sendmsg(socket, &message, 0) == static_cast<ssize_t>(text.size());
}

std::vector<InheritedFd> receive_fds(int socket, std::string& why) {
    std::vector<InheritedFd> fds;
    for (;;) {
        std::array<char, 480> text{};
        iovec part{.iov_base = text.data(), .iov_len = text.size()};
        alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
        msghdr message{};
        message.msg_iov = &part;
        message.msg_iovlen = 1;
        message.msg_control = control.data();
        message.msg_controllen = control.size();
        const ssize_t size = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
        const cmsghdr* const header = size > 0 ? CMSG_FIRSTHDR(&message) : nullptr;
        if (header == nullptr) {
            text.back() = '\0';
            why = size > 0 ? text.data() : "it died";
            return fds;
        }
        int fd = -1;
        std::memcpy(&fd, CMSG_DATA(header), sizeof fd);
        if (text.front() == '\0') {
            const Fd last(fd);
            return fds;
        }
        fds.push_back({.name = text.data(), .fd = Fd(fd)});
    }
}

} // namespace vramswap::bench
