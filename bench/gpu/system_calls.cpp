// SPDX-License-Identifier: MIT
// What an I/O thread asks of the operating system while it is at work, by a process that traces it.
#include <array>
#include <cerrno>
#include <csignal>
#include <map>
#include <thread>

#include <linux/futex.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fmt/format.h>

#include "checks.hpp"
#include "children.hpp"
#include "load.hpp"

namespace vramswap::bench {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr int lock_pi2 = 13; // FUTEX_LOCK_PI2, from Linux 5.14 on

/// An I/O thread, and the word that it sleeps on.
struct Traced {
    pid_t tid = 0;
    std::uint64_t word = 0;
};
using AllTraced = std::array<Traced, max_queues>;

/// System calls of one thread, or of several together.
struct Calls {
    bool allowed = true;                           ///< it could be traced, and the kernel told what it called
    bool lived = true;                             ///< it was there to the end
    std::uint64_t sleeps = 0;                      ///< on its ring's word
    std::uint64_t waits = 0;                       ///< on other futexes
    std::uint64_t wakes = 0;                       ///< of those who wait on other futexes
    std::uint64_t naps = 0;                        ///< of a given length
    std::map<std::uint64_t, std::uint64_t> others; ///< by number

    void note(const __ptrace_syscall_info& info, std::uint64_t word) {
        const auto number = info.entry.nr;
        const auto operation = static_cast<int>(info.entry.args[1]) & FUTEX_CMD_MASK;
        if (number == SYS_futex && info.entry.args[0] == word)
            ++sleeps;
        else if (number == SYS_futex && (operation == FUTEX_WAIT || operation == FUTEX_WAIT_BITSET ||
                                         operation == FUTEX_LOCK_PI || operation == lock_pi2))
            ++waits;
        else if (number == SYS_futex)
            ++wakes;
        else if (number == SYS_clock_nanosleep)
            ++naps;
        else if (number != SYS_restart_syscall) // a nap that our own interrupt cut in two
            ++others[number];
    }

    void add(const Calls& more) {
        allowed = allowed && more.allowed;
        lived = lived && more.lived;
        sleeps += more.sleeps;
        waits += more.waits;
        wakes += more.wakes;
        naps += more.naps;
        for (const auto& [number, count] : more.others)
            others[number] += count;
    }
};

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

/// Looks at one thread for a while. To be called by a thread that traces no other.
Calls trace(const Traced& thread, std::chrono::milliseconds time) {
    Calls calls;
    calls.lived = false;
    calls.allowed = ::ptrace(PTRACE_SEIZE, thread.tid, nullptr, PTRACE_O_TRACESYSGOOD) == 0 &&
                    ::ptrace(PTRACE_INTERRUPT, thread.tid, nullptr, nullptr) == 0;
    const auto until = Clock::now() + time;
    int status = 0;
    while (calls.allowed && next_stop(thread.tid, until, status)) {
        constexpr int syscall_stop = SIGTRAP | 0x80;
        if (WSTOPSIG(status) == syscall_stop) {
            __ptrace_syscall_info info{};
            calls.allowed = ::ptrace(PTRACE_GET_SYSCALL_INFO, thread.tid, sizeof info, &info) > 0;
            if (info.op == PTRACE_SYSCALL_INFO_ENTRY)
                calls.note(info, thread.word);
        }
        calls.lived = Clock::now() >= until;
        if (calls.lived)
            break;
        ::ptrace(PTRACE_SYSCALL, thread.tid, nullptr, nullptr);
    }
    ::ptrace(PTRACE_DETACH, thread.tid, nullptr, nullptr);
    return calls;
}

/// All threads at the same time.
Calls trace_all(const AllTraced& threads, unsigned count, std::chrono::milliseconds time) {
    std::vector<Calls> calls(count);
    {
        std::vector<std::jthread> tracers;
        tracers.reserve(count);
        for (unsigned i = 0; i < count; ++i)
            tracers.emplace_back([&, i] { calls[i] = trace(threads.at(i), time); });
    }
    Calls all;
    for (const Calls& one : calls)
        all.add(one);
    return all;
}

/// Serves random requests, zeroes among them, until it is killed.
void serve_traced(const Setting& setting, int socket, AllTraced& threads) {
    constexpr std::uint64_t capacity = 64ULL << 20;
    auto engine = make_cuda(setting, capacity);
    auto rig = engine ? Rig::make(shape_of(setting, capacity), **engine, always_look) : pass_on(engine);
    if (!rig) {
        const Finding why = not_ok("", rig.error());
        return say(socket, why.verdict, why.text);
    }
    ::prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY);
    const auto tids = (*rig)->threads();
    for (unsigned i = 0; i < tids.size(); ++i)
        threads.at(i) = {.tid = tids[i], .word = reinterpret_cast<std::uintptr_t>(&(*rig)->queue(i).ring().sleeping)};
    Model model(capacity);
    const Load load{.mix = Mix::any, .depth = 16, .length = 64U << 10, .time = 1s};
    const std::jthread told([&] {
        std::this_thread::sleep_for(50ms); // the load has begun
        say(socket, Verdict::ok, "");
    });
    while (all_right(run(**rig, load, model)))
        ;
}

std::string text(const Calls& calls, unsigned threads, std::chrono::milliseconds time) {
    std::string others;
    for (const auto& [number, count] : calls.others)
        others += fmt::format("{}{} of number {}", others.empty() ? "" : ", ", count, number);
    return fmt::format(
        "{} I/O threads, {} ms under load: {} sleeps, {} naps; futexes of the driver's library: {} waits, "
        "{} wake-ups; others: {}",
        threads, time.count(), calls.sleeps, calls.naps, calls.waits, calls.wakes, others.empty() ? "none" : others);
}

} // namespace

Finding check_system_calls(const Setting& setting) {
    const std::string name = by_path(setting, "I/O threads at work do not enter the driver in the kernel");
    const auto time = 2 * setting.time;
    const Shared<AllTraced> threads;
    Fd socket;
    const pid_t child = in_child(socket, [&](int to) { serve_traced(setting, to, *threads); });
    const Message message = hear(socket.get(), 30s);
    Calls calls;
    if (message.verdict == Verdict::ok)
        calls = trace_all(*threads, setting.queues, time);
    end(child);
    if (message.verdict != Verdict::ok)
        return {.name = name, .verdict = message.verdict, .text = message.text.data()};
    if (!calls.allowed)
        return {.name = name, .verdict = Verdict::skipped, .text = "ptrace is not allowed here"};
    if (!calls.lived)
        return {.name = name, .verdict = Verdict::failed, .text = "a thread ended under load"};
    return {.name = name,
            .verdict = calls.others.empty() ? Verdict::ok : Verdict::failed,
            .text = text(calls, setting.queues, time)};
}

} // namespace vramswap::bench
