// SPDX-License-Identifier: MIT
//
// swap_torture: fills anonymous memory with pages that say who they are, then verifies every word of them, in random
// order, rewriting some as it goes. Meant to be larger than the RAM it may use, so that the pages cross a swap device.
//
// A page knows its number and version (torture_page.hpp). The versions are kept outside too, locked, so a page that
// comes back older than it was written is found.
//
// The work is done by child processes, which share locked counters with the parent; the parent only watches.
// Exit status: 0 all right, 1 wrong bytes, 2 bad usage, 3 a page was lost (SIGBUS), 4 a worker died.

#include "meeting.hpp"
#include "torture_page.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <new>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include <getopt.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

using namespace torture;

constexpr unsigned max_procs = 64;
constexpr std::uint64_t max_reports = 8; // wrong pages that one worker describes before it gives up

enum Exit : std::uint8_t { exit_ok, exit_wrong, exit_usage, exit_lost, exit_died };

// ---- what the workers tell the parent ----

struct Counters {
    std::atomic<std::uint64_t> filled;
    std::atomic<std::uint64_t> verified;
    std::atomic<std::uint64_t> rewritten;
    std::atomic<std::uint64_t> wrong;
    std::atomic<std::uint64_t> lost;
    std::atomic<const char*> stage; // a literal, at the same address in parent and child
};

struct Totals {
    std::uint64_t filled = 0;
    std::uint64_t verified = 0;
    std::uint64_t rewritten = 0;
    std::uint64_t wrong = 0;
    std::uint64_t lost = 0;
};

Totals sum(std::span<const Counters> all) {
    Totals totals;
    for (const Counters& one : all) {
        totals.filled += one.filled;
        totals.verified += one.verified;
        totals.rewritten += one.rewritten;
        totals.wrong += one.wrong;
        totals.lost += one.lost;
    }
    return totals;
}

void must(bool good, const char* what) {
    if (good)
        return;
    tell(stderr, "swap_torture: {}: {}\n", what, std::generic_category().message(errno));
    _exit(exit_usage);
}

std::span<Counters> make_counters(unsigned procs) {
    const std::size_t size = procs * sizeof(Counters);
    void* memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    must(memory != MAP_FAILED, "cannot map the counters");
    must(mlock(memory, size) == 0, "cannot lock the counters (raise the memlock limit)");
    return {new (memory) Counters[procs]{}, procs};
}

// ---- signals ----

// SIGTERM ends the random passes early; the stages after them still run.
std::atomic<bool>& asked_to_end() {
    static std::atomic<bool> flag;
    return flag;
}

std::atomic<bool>& page_lost() {
    static std::atomic<bool> flag;
    return flag;
}

void on_term(int /*signal*/) {
    asked_to_end() = true;
}

// The kernel could not bring a page back. An empty one takes its place, so that the access can go on.
void on_bus(int /*signal*/, siginfo_t* info, void* /*context*/) {
    const auto address = reinterpret_cast<std::uintptr_t>(info->si_addr) & ~(page_size - 1);
    void* page = reinterpret_cast<void*>(address); // NOLINT(performance-no-int-to-ptr): the kernel gave the address
    if (mmap(page, page_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
        _exit(exit_lost);
    page_lost() = true;
}

void catch_signals() {
    struct sigaction term = {};
    term.sa_handler = on_term;
    must(sigaction(SIGTERM, &term, nullptr) == 0, "sigaction");
    struct sigaction bus = {};
    bus.sa_sigaction = on_bus;
    bus.sa_flags = SA_SIGINFO;
    must(sigaction(SIGBUS, &bus, nullptr) == 0, "sigaction");
}

// ---- a worker ----

enum class Stage : std::uint8_t { random, random_read, random_write, sequential };

struct Options {
    std::uint64_t size = 0;
    unsigned passes = 2;
    std::uint64_t seed = 1;
    unsigned procs = 1;
    std::vector<Stage> stages = {Stage::random, Stage::sequential};
    bool thp = false;
    bool json = false;
};

class Worker {
public:
    Worker(const Options& options, std::uint64_t first_page, std::uint32_t pages, Counters& counters)
        : seed_(options.seed), first_(first_page), pages_(pages), random_(mix(options.seed + first_page)),
          counters_(counters), memory_(map_memory(pages, options.thp)), versions_(pages, 0), order_(pages) {
        for (std::uint32_t i = 0; i < pages; ++i)
            order_[i] = i;
        must(mlock(versions_.data(), versions_.size() * sizeof(std::uint32_t)) == 0 &&
                 mlock(order_.data(), order_.size() * sizeof(std::uint32_t)) == 0,
             "cannot lock the tables (raise the memlock limit)");
    }

    int run(const Options& options, const Meeting& filled) {
        fill();
        filled.wait(); // or a quick worker is gone, and its memory free, before a slow one needs any
        for (const Stage stage : options.stages) {
            switch (stage) {
            case Stage::random:
                random_passes("random", options.passes, 4);
                break;
            case Stage::random_read:
                random_passes("random-read", options.passes, 0);
                break;
            case Stage::random_write:
                random_passes("random-write", options.passes, 1);
                break;
            case Stage::sequential:
                sequential();
                break;
            }
        }
        if (counters_.wrong != 0)
            return exit_wrong;
        return counters_.lost != 0 ? exit_lost : exit_ok;
    }

private:
    static constexpr std::uint32_t lost_version = ~0U;

    static std::uint64_t* map_memory(std::uint32_t pages, bool thp) {
        const std::size_t size = pages * page_size;
        void* memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        must(memory != MAP_FAILED, "cannot map the memory");
        // EINVAL: a kernel without transparent huge pages.
        must(madvise(memory, size, thp ? MADV_HUGEPAGE : MADV_NOHUGEPAGE) == 0 || errno == EINVAL, "madvise");
        return static_cast<std::uint64_t*>(memory);
    }

    std::uint64_t* page(std::uint32_t i) { return memory_ + (i * page_words); }
    [[nodiscard]] PageName name(std::uint32_t i) const {
        return {.number = first_ + i, .version = versions_[i], .seed = seed_};
    }

    void fill() {
        counters_.stage = "fill";
        for (std::uint32_t i = 0; i < pages_; ++i) {
            versions_[i] = 1;
            write_page(page(i), name(i));
            ++counters_.filled;
            note_loss(i);
        }
    }

    bool note_loss(std::uint32_t i) {
        if (!page_lost().exchange(false))
            return false;
        tell(stderr, "swap_torture: LOST page {} version {}: SIGBUS\n", first_ + i, versions_[i]);
        ++counters_.lost;
        versions_[i] = lost_version;
        return true;
    }

    // A wrong page is put right, so that each fault is reported once.
    void verify(std::uint32_t i) {
        if (versions_[i] == lost_version)
            return;
        const bool right = page_is(page(i), name(i));
        if (note_loss(i))
            return;
        ++counters_.verified;
        if (right)
            return;
        report_wrong(page(i), name(i));
        write_page(page(i), name(i));
        if (++counters_.wrong >= max_reports)
            _exit(exit_wrong);
    }

    void rewrite(std::uint32_t i) {
        if (versions_[i] == lost_version)
            return;
        ++versions_[i];
        write_page(page(i), name(i));
        ++counters_.rewritten;
    }

    std::uint64_t random() { return next_word(random_); }

    void shuffle() {
        for (std::uint32_t i = pages_; i > 1; --i)
            std::swap(order_[i - 1], order_[random() % i]);
    }

    // Rewrites one page in `rewrite_one_in`, after its verification; 0: none.
    void random_passes(const char* stage, unsigned passes, unsigned rewrite_one_in) {
        counters_.stage = stage;
        for (unsigned pass = 0; pass < passes && !asked_to_end(); ++pass) {
            shuffle();
            for (const std::uint32_t i : order_) {
                if (asked_to_end())
                    break;
                verify(i);
                if (rewrite_one_in != 0 && random() % rewrite_one_in == 0)
                    rewrite(i);
            }
        }
    }

    void sequential() {
        counters_.stage = "sequential";
        for (std::uint32_t i = 0; i < pages_; ++i)
            verify(i);
    }

    std::uint64_t seed_;
    std::uint64_t first_;
    std::uint32_t pages_;
    std::uint64_t random_;
    Counters& counters_; // NOLINT(cppcoreguidelines-avoid-const-or-ref-data-members): lives as long as the program
    std::uint64_t* memory_;
    std::vector<std::uint32_t> versions_;
    std::vector<std::uint32_t> order_;
};

// ---- the parent ----

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
}

void print_progress(std::span<const Counters> counters, Clock::time_point start) {
    const Totals totals = sum(counters);
    const char* stage = counters.front().stage;
    tell(stderr, "swap_torture: {:.0f} s: {}: filled {}, verified {}, rewritten {}, wrong {}, lost {}\n",
         seconds_since(start), stage != nullptr ? stage : "start", totals.filled, totals.verified, totals.rewritten,
         totals.wrong, totals.lost);
}

std::vector<pid_t> start_workers(const Options& options, std::span<Counters> counters) {
    const std::uint64_t each = options.size / page_size / options.procs;
    must(each > 0 && each < ~0U, "--size is too small or too large for --procs");
    std::vector<pid_t> workers;
    const Meeting filled;
    for (unsigned i = 0; i < options.procs; ++i) {
        const pid_t pid = fork();
        must(pid >= 0, "fork");
        if (pid == 0) {
            // All that is not under test stays in RAM, so that a lost page is always one that can be reported.
            must(mlockall(MCL_CURRENT) == 0, "cannot lock the program (raise the memlock limit)");
            Worker worker(options, i * each, static_cast<std::uint32_t>(each), counters[i]);
            _exit(worker.run(options, filled));
        }
        workers.push_back(pid);
    }
    filled.leave();
    return workers;
}

// A worker's exit status; a death by a signal is told.
int worst_of(int worst, pid_t pid, int status) {
    int code = exit_died;
    if (WIFEXITED(status))
        code = WEXITSTATUS(status);
    else
        tell(stderr, "swap_torture: worker {} was killed by signal {}\n", pid, WTERMSIG(status));
    if (worst == exit_wrong || code == exit_wrong)
        return exit_wrong;
    return std::max(worst, code);
}

// Waits for all workers, with a line of progress a second; passes SIGTERM on.
int watch(const std::vector<pid_t>& workers, std::span<const Counters> counters, Clock::time_point start) {
    int worst = exit_ok;
    bool told = false;
    std::size_t left = workers.size();
    for (unsigned tick = 1; left > 0; ++tick) {
        int status = 0;
        const pid_t pid = waitpid(-1, &status, WNOHANG);
        if (pid > 0) {
            worst = worst_of(worst, pid, status);
            --left;
            continue;
        }
        if (asked_to_end() && !told) {
            for (const pid_t worker : workers)
                kill(worker, SIGTERM);
            told = true;
        }
        usleep(20'000);
        if (tick % 50 == 0)
            print_progress(counters, start);
    }
    return worst;
}

void print_result(const Options& options, const Totals& totals, double seconds) {
    const std::uint64_t pages = options.size / page_size / options.procs * options.procs;
    if (!options.json)
        tell(stdout, "{} pages: {} verified, {} rewritten, {} wrong, {} lost, {:.1f} s\n", pages, totals.verified,
             totals.rewritten, totals.wrong, totals.lost, seconds);
    tell(stdout,
         R"({{"pages":{},"verified":{},"rewritten":{},"wrong":{},"lost":{},"seconds":{:.3f}}})"
         "\n",
         pages, totals.verified, totals.rewritten, totals.wrong, totals.lost, seconds);
}

// ---- options ----

constexpr const char* usage =
    R"(usage: swap_torture --size BYTES[K|M|G] [--passes N] [--seed N] [--procs P] [--mode STAGE,...] [--thp] [--json]
  --size    memory in all, shared out among the processes
  --passes  passes of each random stage (2)
  --mode    stages in order, when all pages are written (random,sequential):
              random        verify each page in random order, rewrite one in four
              random-read   only verify
              random-write  verify and rewrite each
              sequential    verify in order
  --thp     allow transparent huge pages
  --json    print nothing but the last line
SIGTERM ends a random stage early; the stages after it still run.
)";

[[noreturn]] void bad_usage(const std::string& what) {
    tell(stderr, "swap_torture: {}\n{}", what, usage);
    std::exit(exit_usage); // NOLINT(concurrency-mt-unsafe): one thread
}

template<typename T>
T number(std::string_view text) {
    T value = 0;
    const auto [end, error] = std::from_chars(text.begin(), text.end(), value);
    if (error != std::errc{} || end != text.end())
        bad_usage("not a number: " + std::string(text));
    return value;
}

std::uint64_t size_in_bytes(std::string_view text) {
    unsigned shift = 0;
    if (text.ends_with('K'))
        shift = 10;
    else if (text.ends_with('M'))
        shift = 20;
    else if (text.ends_with('G'))
        shift = 30;
    if (shift != 0)
        text.remove_suffix(1);
    return number<std::uint64_t>(text) << shift;
}

Stage stage_named(std::string_view name) {
    if (name == "random")
        return Stage::random;
    if (name == "random-read")
        return Stage::random_read;
    if (name == "random-write")
        return Stage::random_write;
    if (name == "sequential")
        return Stage::sequential;
    bad_usage("no such stage: " + std::string(name));
}

std::vector<Stage> stages_in(std::string_view list) {
    std::vector<Stage> stages;
    while (true) {
        const std::size_t comma = list.find(',');
        stages.push_back(stage_named(list.substr(0, comma)));
        if (comma == std::string_view::npos)
            break;
        list.remove_prefix(comma + 1);
    }
    return stages;
}

Options parse(int argc, char** argv) {
    const std::array<option, 8> known{{{"size", required_argument, nullptr, 's'},
                                       {"passes", required_argument, nullptr, 'p'},
                                       {"seed", required_argument, nullptr, 'r'},
                                       {"procs", required_argument, nullptr, 'n'},
                                       {"mode", required_argument, nullptr, 'm'},
                                       {"thp", no_argument, nullptr, 't'},
                                       {"json", no_argument, nullptr, 'j'},
                                       {}}};
    Options options;
    while (true) {
        const int found = getopt_long(argc, argv, "", known.data(), nullptr); // NOLINT(concurrency-mt-unsafe)
        switch (found) {
        case 's':
            options.size = size_in_bytes(optarg);
            break;
        case 'p':
            options.passes = number<unsigned>(optarg);
            break;
        case 'r':
            options.seed = number<std::uint64_t>(optarg);
            break;
        case 'n':
            options.procs = number<unsigned>(optarg);
            break;
        case 'm':
            options.stages = stages_in(optarg);
            break;
        case 't':
            options.thp = true;
            break;
        case 'j':
            options.json = true;
            break;
        case -1:
            return options;
        default:
            bad_usage("unknown option");
        }
    }
}

int run(const Options& options) {
    if (options.procs == 0 || options.procs > max_procs)
        bad_usage("--procs must be 1 to 64");
    if (options.size / page_size < options.procs)
        bad_usage("--size must be given, at least a page for each process");
    catch_signals();
    const std::span<Counters> counters = make_counters(options.procs);
    const Clock::time_point start = Clock::now();
    const std::vector<pid_t> workers = start_workers(options, counters);
    // The watcher must not wait for the swap that it watches. Without the right to lock it still works.
    if (mlockall(MCL_CURRENT | MCL_FUTURE) != 0)
        tell(stderr, "swap_torture: mlockall: {}\n", std::generic_category().message(errno));
    const int result = watch(workers, counters, start);
    print_result(options, sum(counters), seconds_since(start));
    return result;
}

} // namespace

int main(int argc, char** argv) try { return run(parse(argc, argv)); } catch (const std::exception& error) {
    std::fputs(error.what(), stderr);
    return exit_usage;
}
