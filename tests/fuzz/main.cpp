// SPDX-License-Identifier: MIT
//
// vramswap_fuzz: a hostile helper, hostile netlink callers, and witnesses who use the block device meanwhile.
//
//   vramswap_fuzz [--device N] [--seed S] [--seconds T] [--operations N] [--threads N] [--epoch-limit SECONDS]
//                 [--epoch E [--before N]]
//
// Each epoch is a helper of its own that lives by its own dice: --seed S --epoch E plays one of them again, after the N
// before it. The kernel's log tells which one begins, for whoever finds no more than the log of a dead machine. The
// kernel may end sessions, fail I/O and refuse calls; it must not show a reader words that are not the helper's or a
// writer's, nor the helper any that no writer wrote, let anything be mapped that must not be, hang, or print a report
// (which the VM rig sees). The last line is JSON.
//
// Exit status: 0 nothing was wrong, 1 something was (lines "VIOLATION: ..."), 2 bad usage.
#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <new>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hostile.hpp"
#include "netlink.hpp"
#include "witness.hpp"

namespace {

using namespace fuzz;
using Clock = std::chrono::steady_clock;

struct Options {
    unsigned device = 0;
    std::uint64_t seed = 1;
    std::uint64_t seconds = 10;
    std::uint64_t operations = ~std::uint64_t{0}; ///< enough, netlink's messages included
    unsigned threads = 2;
    unsigned witnesses = 4;
    std::uint64_t epoch_limit = 60;
    std::uint32_t epoch = 0;  ///< only this one; 0: all
    std::uint32_t before = 0; ///< and so many before it
};

/// Operations of one epoch, in all threads.
constexpr std::uint64_t longest_epoch = 20000;

Options parse(int argc, char** argv) {
    Options options;
    CLI::App app{"a hostile helper for /dev/vramswapcN"};
    app.add_option("--device", options.device);
    app.add_option("--seed", options.seed);
    app.add_option("--seconds", options.seconds);
    app.add_option("--operations", options.operations, "enough of them, netlink's messages included");
    app.add_option("--threads", options.threads)->check(CLI::Range(1, 16));
    app.add_option("--witnesses", options.witnesses)->check(CLI::Range(0, 16));
    app.add_option("--epoch-limit", options.epoch_limit, "seconds that one epoch may take");
    app.add_option("--epoch", options.epoch, "play only this epoch");
    app.add_option("--before", options.before, "and so many before it");
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        std::exit(app.exit(error) == 0 ? 0 : 2);
    }
    return options;
}

Counts& share_counts() {
    void* const memory = ::mmap(nullptr, sizeof(Counts), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        std::perror("mmap");
        std::exit(1);
    }
    return *new (memory) Counts();
}

/// A process of its own, which ends with this one.
template<typename Work>
pid_t spawn(Work work) {
    (void)std::fflush(nullptr);
    const pid_t pid = ::fork();
    if (pid != 0)
        return pid;
    (void)::prctl(PR_SET_PDEATHSIG, SIGKILL);
    work();
    ::_exit(0);
}

/// Waits for a child until then; false if it lives on.
bool ended(pid_t pid, Clock::time_point until) {
    while (::waitpid(pid, nullptr, WNOHANG) == 0) {
        if (Clock::now() >= until)
            return false;
        (void)::usleep(1000);
    }
    return true;
}

std::uint64_t seed_of(const Options& options, std::uint64_t number) {
    Dice dice(options.seed ^ (number << 32));
    return dice.word();
}

/// Into the kernel's log: of a machine that died nothing else is left.
void note_epoch(const Options& options, std::uint32_t epoch) {
    const std::string text = fmt::format("<4>vramswap_fuzz: seed {} epoch {}\n", options.seed, epoch);
    const int fd = ::open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    (void)!::write(fd, text.data(), text.size());
    (void)::close(fd);
}

HostileLife any_life(const Options& options, std::uint32_t epoch) {
    Dice dice(seed_of(options, epoch));
    HostileLife life{.device = options.device,
                     .seed = dice.word(),
                     .operations = 1 + dice.below(dice.one_in(4) ? 200 : longest_epoch),
                     .threads = dice.one_in(2) ? 1 : options.threads,
                     .scrambles = dice.one_in(16),
                     .truths = std::uint64_t{1} << dice.below(14)};
    if (life.scrambles) {
        life.threads = options.threads;
        life.operations = std::min<std::uint64_t>(life.operations, 200); // each may make a session's memory
    }
    return life;
}

void play_epoch(const Options& options, Counts& counts) {
    const std::uint32_t epoch = ++counts.epoch;
    const HostileLife life = any_life(options, epoch);
    note_epoch(options, epoch);
    const pid_t pid = spawn([&] { live_hostile(life, counts); });
    const auto limit = std::chrono::seconds(options.epoch_limit);
    if (ended(pid, Clock::now() + limit))
        return;
    (void)::kill(pid, SIGKILL);
    if (!ended(pid, Clock::now() + limit))
        violation(counts, "the helper of epoch {} cannot be killed", epoch);
}

void play(const Options& options, Counts& counts) {
    const auto until = Clock::now() + std::chrono::seconds(options.seconds);
    if (options.epoch != 0) {
        counts.epoch = options.epoch - 1 - std::min(options.before, options.epoch - 1);
        while (counts.epoch < options.epoch && counts.violations == 0)
            play_epoch(options, counts);
        return;
    }
    constexpr auto news_every = std::chrono::minutes(1);
    auto news_at = Clock::now() + news_every;
    while (Clock::now() < until && counts.operations + counts.netlink < options.operations && counts.violations == 0) {
        play_epoch(options, counts);
        if (Clock::now() < news_at)
            continue;
        news_at += news_every;
        fmt::print("{} operations so far, {} of them netlink messages\n", counts.operations + counts.netlink,
                   counts.netlink.load());
        (void)std::fflush(stdout);
    }
}

void report(const Counts& counts, const Options& options) {
    fmt::print("{{\"seed\":{},\"epochs\":{},\"operations\":{},\"sessions\":{},\"broken\":{},\"answered\":{},"
               "\"looked\":{},\"netlink\":{},\"io_good\":{},\"io_failed\":{},\"violations\":{}}}\n",
               options.seed, counts.epoch.load(), counts.operations.load(), counts.sessions.load(),
               counts.broken.load(), counts.answered.load(), counts.looked.load(), counts.netlink.load(),
               counts.io_good.load(), counts.io_failed.load(), counts.violations.load());
}

int run(const Options& options) {
    Counts& counts = share_counts();
    constexpr std::uint64_t netlink_number = 1U << 30;
    constexpr std::uint64_t witness_number = 1U << 29;
    std::vector<pid_t> others;
    for (const bool privileged : {true, false})
        others.push_back(
            spawn([&] { netlink(seed_of(options, netlink_number + (privileged ? 1 : 0)), privileged, counts); }));
    for (unsigned i = 0; i < options.witnesses; ++i)
        others.push_back(spawn([&] { witness(options.device, seed_of(options, witness_number + i), counts); }));
    play(options, counts);
    counts.over = true;
    const auto until = Clock::now() + std::chrono::seconds(options.epoch_limit);
    for (const pid_t pid : others)
        if (!ended(pid, until)) {
            violation(counts, "process {} does not end: its I/O hangs", pid);
            (void)::kill(pid, SIGKILL);
        }
    report(counts, options);
    return counts.violations == 0 ? 0 : 1;
}

} // namespace

int main(int argc, char** argv) {
    return run(parse(argc, argv));
}
