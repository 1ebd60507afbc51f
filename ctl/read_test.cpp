// SPDX-License-Identifier: MIT
// vramswapctl bench: reads a block device past the page cache for a few seconds. It never writes: a device may be in
// use.
#include "bench.hpp"
#include "commands.hpp"
#include "fd.hpp"
#include "terminal.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <limits>
#include <memory>
#include <random>
#include <thread>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace vramswap::ctl {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t page = 4096;
constexpr std::size_t piece = 128 * 1024;

constexpr std::array patterns{Pattern{"4 KiB random, 1 at a time", 1, page, true},
                              Pattern{"4 KiB random, 8 at a time", 8, page, true},
                              Pattern{"128 KiB in order, 1 at a time", 1, piece, false}};

struct Free {
    void operator()(void* memory) const { std::free(memory); } // NOLINT(cppcoreguidelines-no-malloc)
};

/// One thread's reads.
struct Reader {
    std::vector<std::uint32_t> latencies;
    int code = 0; ///< errno that ended it early
};

struct Target {
    int fd;
    std::uint64_t size; ///< bytes
};

void read_on(const Target& target, const Pattern& pattern, unsigned seed, Clock::time_point until, Reader& reader) {
    const std::unique_ptr<void, Free> buffer(std::aligned_alloc(page, pattern.bytes));
    std::minstd_rand random(seed + 1);
    std::uniform_int_distribution<std::uint64_t> place(0, target.size / pattern.bytes - 1);
    std::uint64_t next = place(random);
    reader.latencies.reserve(1U << 16);
    for (auto before = Clock::now(); buffer && before < until;) {
        const auto offset = static_cast<off_t>(next * pattern.bytes);
        const ssize_t got = ::pread(target.fd, buffer.get(), pattern.bytes, offset);
        if (got != static_cast<ssize_t>(pattern.bytes)) {
            reader.code = got < 0 ? errno : EIO;
            return;
        }
        const auto after = Clock::now();
        const auto taken = std::chrono::nanoseconds(after - before).count();
        constexpr long most = std::numeric_limits<std::uint32_t>::max();
        reader.latencies.push_back(static_cast<std::uint32_t>(std::min<long>(taken, most)));
        before = after;
        next = pattern.random ? place(random) : (next + 1) % (target.size / pattern.bytes);
    }
    reader.code = buffer ? 0 : ENOMEM;
}

Result<Measured> measure(const Target& target, const Pattern& pattern, std::chrono::milliseconds time) {
    std::vector<Reader> readers(pattern.threads);
    const auto start = Clock::now();
    {
        std::vector<std::jthread> threads;
        for (unsigned i = 0; i < pattern.threads; ++i)
            threads.emplace_back([&, i, until = start + time] { read_on(target, pattern, i, until, readers[i]); });
    }
    Measured measured{.pattern = pattern, .seconds = std::chrono::duration<double>(Clock::now() - start).count()};
    for (const Reader& reader : readers) {
        if (reader.code != 0)
            return fail(reader.code, "a read failed: {}", errno_text(reader.code));
        measured.latencies.insert(measured.latencies.end(), reader.latencies.begin(), reader.latencies.end());
    }
    std::ranges::sort(measured.latencies);
    if (measured.latencies.empty())
        return fail(ETIMEDOUT, "not one read ended in time");
    return measured;
}

Result<Fd> open_device(const std::string& path) {
    Fd fd(::open(path.c_str(), O_RDONLY | O_DIRECT | O_CLOEXEC));
    if (!fd)
        return fail(errno, "{} cannot be opened: {}", path, errno_text(errno));
    struct stat about{};
    if (::fstat(fd.get(), &about) != 0 || !S_ISBLK(about.st_mode))
        return fail(ENOTBLK, "{} is no block device", path);
    return fd;
}

} // namespace

Result<void> run_bench(const BenchCommand& command) {
    const auto fd = open_device(command.path);
    if (!fd)
        return std::unexpected(fd.error());
    const off_t size = ::lseek(fd->get(), 0, SEEK_END);
    if (size < static_cast<off_t>(piece))
        return fail(ENODATA, "{} holds nothing: it has no helper (vramswapctl status)", command.path);
    std::vector<Measured> all;
    std::string json;
    for (const Pattern& pattern : patterns) {
        auto measured = measure({.fd = fd->get(), .size = static_cast<std::uint64_t>(size)}, pattern, command.time);
        if (!measured)
            return pass_on(measured);
        json += json_line(json_bench(command.path, *measured));
        all.push_back(std::move(*measured));
    }
    return print(command.json ? json : bench_table(all));
}

} // namespace vramswap::ctl
