// SPDX-License-Identifier: MIT
//
// swap_load: the bench's swap workload. Fills anonymous memory with pages that say who they are (torture_page.hpp),
// reads them in random order, rewrites them in another, and reads them in sequence, verifying each. Meant to be larger
// than the RAM that it may use.
//
// The first access to a page is timed, and counted as a fault if the kernel says that it was a major one: what
// readahead had brought already is none. Prints one line of JSON. Exit status: 0 all right, 1 wrong bytes, 2 bad usage.

#include "torture_page.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include <sys/mman.h>
#include <sys/resource.h>

namespace {

using namespace torture;
using Clock = std::chrono::steady_clock;

[[noreturn]] void give_up(const char* what) {
    tell(stderr, "swap_load: {}: {}\n", what, std::generic_category().message(errno));
    std::exit(2); // NOLINT(concurrency-mt-unsafe): nothing is left to be done
}

// ---- latencies ----

// Counts by nanoseconds, in sixteenths of each power of two: no figure is off by more than 6 %.
class Histogram {
public:
    void add(std::uint64_t ns) { ++counts_.at(index(ns)); }

    void add(const Histogram& other) { std::ranges::transform(counts_, other.counts_, counts_.begin(), std::plus{}); }

    // As in fio's reports: {"nanoseconds":count,...}, the upper end of each range.
    [[nodiscard]] std::string json() const {
        std::string text;
        for (std::size_t i = 0; i < counts_.size(); ++i) {
            if (counts_.at(i) != 0)
                text += fmt::format(R"({}"{}":{})", text.empty() ? "" : ",", upper_end(i), counts_.at(i));
        }
        return "{" + text + "}";
    }

private:
    static constexpr unsigned steps_log2 = 4;
    static constexpr std::uint64_t steps = 1U << steps_log2;

    static std::size_t index(std::uint64_t ns) {
        if (ns < steps)
            return ns;
        const auto shift = static_cast<unsigned>(std::bit_width(ns)) - steps_log2 - 1;
        return (shift * steps) + (ns >> shift);
    }

    static std::uint64_t upper_end(std::size_t i) {
        if (i < steps)
            return i;
        const std::size_t shift = (i / steps) - 1;
        return ((i - (shift * steps) + 1) << shift) - 1;
    }

    std::array<std::uint64_t, 64 * steps> counts_{};
};

// ---- the work ----

struct Options {
    std::uint64_t size = 0;
    unsigned threads = 1;
    std::uint64_t seed = 1;
};

struct Stage {
    const char* name;
    bool in_sequence;
    bool verify;
    bool write;
};

constexpr std::array<Stage, 4> stages{{{.name = "fill", .in_sequence = true, .verify = false, .write = true},
                                       {.name = "read", .in_sequence = false, .verify = true, .write = false},
                                       {.name = "write", .in_sequence = false, .verify = true, .write = true},
                                       {.name = "sequential", .in_sequence = true, .verify = true, .write = false}}};

// What one thread does in one stage.
struct Outcome {
    Histogram faults;
    std::uint64_t verified = 0;
    std::uint64_t wrong = 0;
};

// A thread's own pages. Its tables are locked: nothing but the pages shall be swapped.
class Worker {
public:
    Worker(std::span<std::uint64_t> memory, std::uint64_t first, std::uint64_t seed)
        : memory_(memory), first_(first), seed_(seed), random_(mix(seed + first)),
          versions_(memory.size() / page_words), order_(versions_.size()) {
        if (mlock(versions_.data(), versions_.size() * sizeof(std::uint32_t)) != 0 ||
            mlock(order_.data(), order_.size() * sizeof(std::uint32_t)) != 0)
            give_up("cannot lock the tables");
    }

    [[nodiscard]] Outcome run(const Stage& stage) {
        Outcome outcome;
        for (std::uint32_t i = 0; i < order_.size(); ++i)
            order_[i] = i;
        if (!stage.in_sequence)
            shuffle();
        for (const std::uint32_t i : order_) {
            if (stage.verify) {
                touch(i, outcome.faults);
                verify(i, outcome);
            }
            if (stage.write)
                write_page(page(i), {.number = first_ + i, .version = ++versions_[i], .seed = seed_});
        }
        return outcome;
    }

private:
    std::uint64_t* page(std::uint32_t i) { return memory_.subspan(i * page_words).data(); }

    static long major_faults() {
        struct rusage usage = {};
        (void)getrusage(RUSAGE_THREAD, &usage);
        return usage.ru_majflt;
    }

    void touch(std::uint32_t i, Histogram& faults) {
        const long before = major_faults();
        const Clock::time_point start = Clock::now();
        (void)*static_cast<volatile std::uint64_t*>(page(i));
        const Clock::duration taken = Clock::now() - start;
        if (major_faults() != before)
            faults.add(static_cast<std::uint64_t>(std::chrono::nanoseconds(taken).count()));
    }

    void verify(std::uint32_t i, Outcome& outcome) {
        const PageName name{.number = first_ + i, .version = versions_[i], .seed = seed_};
        ++outcome.verified;
        if (page_is(page(i), name))
            return;
        ++outcome.wrong;
        report_wrong(page(i), name);
    }

    void shuffle() {
        for (std::size_t i = order_.size(); i > 1; --i)
            std::swap(order_[i - 1], order_[next_word(random_) % i]);
    }

    std::span<std::uint64_t> memory_;
    std::uint64_t first_;
    std::uint64_t seed_;
    std::uint64_t random_;
    std::vector<std::uint32_t> versions_;
    std::vector<std::uint32_t> order_;
};

std::span<std::uint64_t> map_memory(std::uint64_t size) {
    void* memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        give_up("cannot map the memory");
    // EINVAL: a kernel without transparent huge pages.
    if (madvise(memory, size, MADV_NOHUGEPAGE) != 0 && errno != EINVAL)
        give_up("madvise");
    return {static_cast<std::uint64_t*>(memory), size / sizeof(std::uint64_t)};
}

// All workers at once; prints what they found out and returns how many pages were wrong.
std::uint64_t run_stage(const Stage& stage, std::vector<Worker>& workers, bool last) {
    std::vector<Outcome> outcomes(workers.size());
    const Clock::time_point start = Clock::now();
    {
        std::vector<std::jthread> threads;
        threads.reserve(workers.size());
        for (std::size_t i = 0; i < workers.size(); ++i)
            threads.emplace_back([&, i] { outcomes[i] = workers[i].run(stage); });
    }
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    Outcome all;
    for (const Outcome& one : outcomes) {
        all.faults.add(one.faults);
        all.verified += one.verified;
        all.wrong += one.wrong;
    }
    tell(stdout, R"("{}":{{"seconds":{:.4f},"verified":{},"wrong":{},"faults":{}}}{})", stage.name, seconds,
         all.verified, all.wrong, all.faults.json(), last ? "" : ",");
    return all.wrong;
}

int run(const Options& options) {
    const std::uint64_t pages = options.size / page_size / options.threads;
    const std::span<std::uint64_t> memory = map_memory(pages * options.threads * page_size);
    std::vector<Worker> workers;
    workers.reserve(options.threads);
    for (unsigned i = 0; i < options.threads; ++i)
        workers.emplace_back(memory.subspan(i * pages * page_words, pages * page_words), i * pages, options.seed);
    std::uint64_t wrong = 0;
    tell(stdout, "{{");
    for (const Stage& stage : stages)
        wrong += run_stage(stage, workers, &stage == &stages.back());
    tell(stdout, "}}\n");
    return wrong == 0 ? 0 : 1;
}

[[noreturn]] void bad_usage() {
    tell(stderr, "usage: swap_load MIB [THREADS [SEED]]\n");
    std::exit(2); // NOLINT(concurrency-mt-unsafe): one thread
}

std::uint64_t number(std::string_view text) {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.begin(), text.end(), value);
    if (error != std::errc{} || end != text.end())
        bad_usage();
    return value;
}

Options parse(std::span<char*> arguments) {
    Options options;
    if (arguments.size() < 2 || arguments.size() > 4)
        bad_usage();
    options.size = number(arguments[1]) << 20;
    if (arguments.size() > 2)
        options.threads = static_cast<unsigned>(number(arguments[2]));
    if (arguments.size() > 3)
        options.seed = number(arguments[3]);
    if (options.threads == 0 || options.size / page_size < options.threads)
        bad_usage();
    return options;
}

} // namespace

int main(int argc, char** argv) try {
    return run(parse({argv, static_cast<std::size_t>(argc)}));
} catch (const std::exception& error) {
    (void)std::fputs(error.what(), stderr);
    return 2;
}
