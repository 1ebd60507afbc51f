// SPDX-License-Identifier: MIT
#include "checks.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <map>
#include <thread>

#include <linux/if_packet.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fmt/format.h>

#include <helper/cuda_engine.hpp>
#include <helper/fd.hpp>

#include "load.hpp"

namespace vramswap::bench {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

test::Shape shape_of(const Setting& setting, std::uint64_t capacity) {
    return {.queues = setting.queues, .slots = 64, .slot_size = 128U << 10, .capacity = capacity};
}

/// A path that there is not is no failure.
Verdict verdict_of(const Error& error) {
    return error.code == ENOTSUP ? Verdict::skipped : Verdict::failed;
}

Finding failed(std::string name, const Error& error) {
    return {.name = std::move(name), .verdict = verdict_of(error), .text = error.message};
}

/// The name of a check that is made once for each path.
std::string by_path(const Setting& setting, const char* name) {
    return fmt::format("{} ({})", name, setting.path ? name_of(*setting.path) : "auto");
}

/// What a child process has to say.
struct Message {
    std::array<char, 240> text{};
    Verdict verdict = Verdict::failed;
    std::uint64_t figure = 0;
};

void say(int socket, Verdict verdict, const std::string& text, std::uint64_t figure = 0) {
    Message message{.verdict = verdict, .figure = figure};
    text.copy(message.text.data(), message.text.size() - 1);
    (void)!::write(socket, &message, sizeof message);
}

/// Runs `work` in a child, with one end of a socket; returns the other end and the child.
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

/// Kills a child, if there is one, and waits for its end.
void end(pid_t child) {
    if (child <= 0)
        return;
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
}

// ---- descriptors from one process to the other ----

constexpr std::size_t name_room = 64;

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

/// One with an empty name is the last. What comes without a descriptor tells why there are no more.
std::vector<InheritedFd> receive_fds(int socket, std::string& why) {
    std::vector<InheritedFd> fds;
    for (;;) {
        std::array<char, 256> text{};
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

// ---- the killed process ----

constexpr std::uint64_t killed_capacity = 192ULL << 20; // three chunks and more

void store_and_wait(const Setting& setting, int socket) {
    const auto give_up = [socket](const std::string& why) { (void)!::write(socket, why.data(), why.size()); };
    auto engine = make_cuda(setting, killed_capacity);
    if (!engine)
        return give_up(engine.error().message);
    const test::Shape shape = shape_of(setting, killed_capacity);
    auto rig = Rig::make(shape, **engine, always_look);
    if (!rig)
        return give_up(rig.error().message);
    Model model(killed_capacity);
    if (!all_right(fill(**rig, model)))
        return give_up("a write failed");
    for (const KeptFd& kept : (*engine)->kept())
        if (!send_fd(socket, kept.name, kept.fd))
            return;
    (void)send_fd(socket, "", socket);
    for (;;)
        ::pause();
}

Message look_after_kill(const Setting& setting, std::vector<InheritedFd> fds) {
    Fd socket;
    const auto start = Clock::now();
    const pid_t child = in_child(socket, [&](int to) {
        auto engine = make_cuda(setting, 0);
        if (!engine)
            return say(to, Verdict::failed, engine.error().message);
        if (auto adopted = (*engine)->adopt(killed_capacity, fds); !adopted)
            return say(to, Verdict::failed, adopted.error().message);
        const test::Shape shape = shape_of(setting, killed_capacity);
        auto rig = Rig::make(shape, **engine, always_look);
        if (!rig)
            return say(to, Verdict::failed, rig.error().message);
        const auto live = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - start);
        // The model of a device of which every block was written once.
        Model model(killed_capacity);
        std::vector<std::byte> unused(VRAMSWAP_BLOCK_SIZE);
        for (std::uint64_t block = 0; block < model.blocks(); ++block)
            model.write(block, unused.data());
        const Outcome outcome = read_all(**rig, model);
        say(to, all_right(outcome) && outcome.bytes == killed_capacity ? Verdict::ok : Verdict::failed,
            fmt::format("{} MiB read back, {} blocks wrong, {} requests failed", outcome.bytes >> 20, outcome.wrong,
                        outcome.errors),
            static_cast<std::uint64_t>(live.count()));
    });
    Message message;
    if (::read(socket.get(), &message, sizeof message) != sizeof message)
        message.verdict = Verdict::failed;
    end(child);
    return message;
}

// ---- system calls ----

/// Waits for a traced thread to stop. One that never makes a system call stops only for an interrupt, at the end of the
/// time.
bool next_stop(pid_t tid, Clock::time_point until, int& status) {
    pid_t stopped = 0;
    while (stopped == 0 && Clock::now() < until) {
        stopped = ::waitpid(tid, &status, __WALL | WNOHANG);
        if (stopped == 0)
            std::this_thread::sleep_for(100us);
    }
    if (stopped == 0 && ::ptrace(PTRACE_INTERRUPT, tid, nullptr, nullptr) == 0)
        stopped = ::waitpid(tid, &status, __WALL);
    return stopped == tid && WIFSTOPPED(status);
}

// Beside the numbers of system calls: that the thread could be traced, and that it was there to the end.
constexpr long traced = -1;
constexpr long lived = -2;

/// Counts those of one thread for a while; by number. Empty if it may not be traced.
std::map<long, std::uint64_t> trace(pid_t tid, std::chrono::milliseconds time) {
    std::map<long, std::uint64_t> calls;
    if (::ptrace(PTRACE_SEIZE, tid, nullptr, PTRACE_O_TRACESYSGOOD) != 0 ||
        ::ptrace(PTRACE_INTERRUPT, tid, nullptr, nullptr) != 0)
        return calls;
    calls[traced] = 1;
    const auto until = Clock::now() + time;
    bool entering = true;
    int status = 0;
    while (next_stop(tid, until, status)) {
        constexpr int syscall_stop = SIGTRAP | 0x80;
        if (WSTOPSIG(status) == syscall_stop) {
            user_regs_struct registers{};
            if (entering && ::ptrace(PTRACE_GETREGS, tid, nullptr, &registers) == 0)
                ++calls[static_cast<long>(registers.orig_rax)];
            entering = !entering;
        }
        if (Clock::now() >= until) {
            calls[lived] = 1;
            break;
        }
        ::ptrace(PTRACE_SYSCALL, tid, nullptr, nullptr);
    }
    ::ptrace(PTRACE_DETACH, tid, nullptr, nullptr);
    return calls;
}

void serve_traced(const Setting& setting, int socket) {
    auto engine = make_cuda(setting, killed_capacity);
    if (!engine)
        return say(socket, verdict_of(engine.error()), engine.error().message);
    auto rig = Rig::make(shape_of(setting, killed_capacity), **engine, always_look);
    if (!rig)
        return say(socket, Verdict::failed, rig.error().message);
    ::prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY);
    Model model(killed_capacity);
    if (!all_right(fill(**rig, model)))
        return say(socket, Verdict::failed, "a write failed");
    say(socket, Verdict::ok, "", static_cast<std::uint64_t>((*rig)->threads().front()));
    for (;;)
        (void)run(**rig, {.mix = Mix::any, .depth = 16, .length = 64U << 10, .time = 1s}, model);
}

} // namespace

Result<std::unique_ptr<CudaEngine>> make_cuda(const Setting& setting, std::uint64_t capacity) {
    auto engine = CudaEngine::make({.gpu = setting.gpu, .path = setting.path, .libcuda = setting.libcuda});
    if (!engine || capacity == 0)
        return engine;
    if (auto open = (*engine)->open(capacity); !open)
        return pass_on(open);
    return engine;
}

Finding check_every_byte(const Setting& setting) {
    const std::string name = by_path(setting, "random requests against a model of every byte");
    auto engine = make_cuda(setting, setting.capacity);
    if (!engine)
        return failed(name, engine.error());
    auto rig = Rig::make(shape_of(setting, setting.capacity), **engine, always_look);
    if (!rig)
        return failed(name, rig.error());
    Model model(setting.capacity);
    Outcome outcome = run(**rig, {.mix = Mix::any, .depth = 64, .length = 128U << 10, .time = 4 * setting.time}, model);
    return {.name = name,
            .verdict = all_right(outcome) ? Verdict::ok : Verdict::failed,
            .text = fmt::format("{} requests, {} MiB, {} blocks wrong, {} requests failed", outcome.latency.count(),
                                outcome.bytes >> 20, outcome.wrong, outcome.errors)};
}

Finding check_killed(const Setting& setting) {
    const std::string name = "contents outlive a process that is killed";
    Fd socket;
    const pid_t first = in_child(socket, [&](int to) { store_and_wait(setting, to); });
    std::string why;
    auto fds = receive_fds(socket.get(), why);
    end(first);
    if (!why.empty())
        return {.name = name, .verdict = Verdict::failed, .text = "the first process could not store anything: " + why};
    const Message message = look_after_kill(setting, std::move(fds));
    return {.name = name,
            .verdict = message.verdict,
            .text = fmt::format("{}; the next process was ready to serve after {} ms", message.text.data(),
                                message.figure)};
}

Finding check_system_calls(const Setting& setting) {
    const std::string name = by_path(setting, "an I/O thread at work does not enter the driver in the kernel");
    Fd socket;
    const pid_t child = in_child(socket, [&](int to) { serve_traced(setting, to); });
    Message message;
    const bool heard = ::read(socket.get(), &message, sizeof message) == sizeof message;
    std::map<long, std::uint64_t> calls;
    if (heard && message.verdict == Verdict::ok)
        calls = trace(static_cast<pid_t>(message.figure), 2 * setting.time);
    end(child);
    if (!heard || message.verdict != Verdict::ok)
        return {.name = name, .verdict = message.verdict, .text = message.text.data()};
    if (calls.empty())
        return {.name = name, .verdict = Verdict::skipped, .text = "ptrace is not allowed here"};
    if (!calls.contains(lived))
        return {.name = name, .verdict = Verdict::failed, .text = "the thread ended under load"};
    calls.erase(traced);
    calls.erase(lived);
    // Ours: the kernel's half sleeps and wakes by a futex, which the kernel module does without; and an I/O thread
    // whose engine takes long naps.
    const std::uint64_t sleeps = calls[SYS_futex];
    const std::uint64_t naps = calls[SYS_clock_nanosleep];
    calls.erase(SYS_futex);
    calls.erase(SYS_clock_nanosleep);
    calls.erase(SYS_restart_syscall); // a nap that our own interrupt cut in two
    std::string others;
    for (const auto& [number, count] : calls)
        others += fmt::format(" {} of number {}", count, number);
    return {.name = name,
            .verdict = others.empty() ? Verdict::ok : Verdict::failed,
            .text = fmt::format("in {} ms under load: {} sleeps and {} naps; others:{}", (2 * setting.time).count(),
                                sleeps, naps, others.empty() ? " none" : others)};
}

Finding check_registration(const Setting& setting) {
    const std::string name = "the driver takes memory that a kernel module has mapped";
    const auto skip = [&](const char* what) -> Finding {
        return {.name = name, .verdict = Verdict::skipped, .text = fmt::format("{}: {}", what, std::strerror(errno))};
    };
    const Fd packets(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0)); // which hears nothing
    if (!packets)
        return skip("no packet socket");
    constexpr unsigned blocks = 256;
    constexpr unsigned block = 4096; // single pages, as the module's
    const tpacket_req request{
        .tp_block_size = block, .tp_block_nr = blocks, .tp_frame_size = 4096, .tp_frame_nr = blocks * block / 4096};
    if (::setsockopt(packets.get(), SOL_PACKET, PACKET_RX_RING, &request, sizeof request) != 0)
        return skip("no packet ring");
    void* const ring =
        ::mmap(nullptr, std::size_t{blocks} * block, PROT_READ | PROT_WRITE, MAP_SHARED, packets.get(), 0);
    if (ring == MAP_FAILED)
        return skip("the packet ring is not mapped");
    auto engine = make_cuda(setting, 64ULL << 20);
    if (!engine)
        return failed(name, engine.error());
    const auto bound = (*engine)->bind({static_cast<std::byte*>(ring), std::size_t{blocks} * block});
    Result<void> moved;
    if (bound) {
        // Its warm-up copies from and to the memory, and compares.
        auto lane = (*engine)->lane(0, 16);
        moved = lane ? (*lane)->begin() : pass_on(lane);
    }
    (*engine)->unbind();
    ::munmap(ring, std::size_t{blocks} * block);
    if (!bound)
        return failed(name, bound.error());
    if (!moved)
        return failed(name, moved.error());
    return {.name = name,
            .text = fmt::format("{} KiB registered, bytes moved both ways and right", blocks * block >> 10)};
}

Finding check_start(const Setting& setting) {
    const std::string name = "start";
    const auto start = Clock::now();
    auto engine = make_cuda(setting, setting.capacity);
    if (!engine)
        return failed(name, engine.error());
    const auto stored = Clock::now();
    auto rig = Rig::make(shape_of(setting, setting.capacity), **engine, always_look);
    if (!rig)
        return failed(name, rig.error());
    const auto ms = [](Clock::duration time) {
        return std::chrono::duration_cast<std::chrono::milliseconds>(time).count();
    };
    return {.name = name,
            .text = fmt::format("driver, context and {} MiB zeroed: {} ms; lanes warmed up: {} ms",
                                setting.capacity >> 20, ms(stored - start), ms(Clock::now() - stored))};
}

} // namespace vramswap::bench
