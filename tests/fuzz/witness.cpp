// SPDX-License-Identifier: MIT
#include "witness.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>

#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/uio.h>
#include <unistd.h>

#include <uapi/vramswap.h>

namespace fuzz {
namespace {

constexpr std::size_t block = VRAMSWAP_BLOCK_SIZE;
constexpr std::size_t most_blocks = 48; // more than one request can carry
constexpr unsigned requests_per_open = 32;

/// What a read leaves in memory that it did not fill; no word may still be so after a read that succeeded.
constexpr std::uint64_t poison = 0xdeaddeaddeaddead;

struct Free {
    void operator()(void* memory) const { std::free(memory); }
};

class Witness {
public:
    Witness(std::uint64_t seed, Counts& counts)
        : dice_(seed), counts_(counts),
          memory_(static_cast<std::uint64_t*>(std::aligned_alloc(block, most_blocks * block))) {}

    /// Opens the device, does some requests, and closes it again, so that a failed device gets free.
    void visit(unsigned device) {
        const std::string path = fmt::format("/dev/vramswap{}", device);
        const int fd = ::open(path.c_str(), O_RDWR | O_DIRECT | O_CLOEXEC);
        if (fd < 0) {
            (void)::usleep(1000);
            return;
        }
        bool good = true;
        for (unsigned i = 0; i < requests_per_open && good && !counts_.over; ++i)
            good = request(fd);
        (void)::close(fd);
        if (!good)
            (void)::usleep(20000); // a failed device is given new contents only while nobody has it open
    }

private:
    /// False once there is no device to speak of.
    bool request(int fd) {
        const off_t size = ::lseek(fd, 0, SEEK_END);
        const auto blocks = static_cast<std::uint64_t>(std::max<off_t>(size, 0)) / block;
        if (blocks == 0)
            return false;
        const std::uint64_t first = dice_.below(blocks);
        const std::uint64_t count = std::min(blocks - first, 1 + dice_.below(most_blocks));
        const std::size_t length = count * block;
        const auto offset = static_cast<off_t>(first * block);
        const bool good = dice_.one_in(16)  ? discard(fd, offset, length)
                          : dice_.one_in(2) ? read(fd, offset, length)
                                            : write(fd, offset, length);
        ++(good ? counts_.io_good : counts_.io_failed);
        return good;
    }

    bool discard(int fd, off_t offset, std::size_t length) {
        const int mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE | (dice_.one_in(2) ? FALLOC_FL_NO_HIDE_STALE : 0);
        return ::fallocate(fd, mode, offset, static_cast<off_t>(length)) == 0;
    }

    bool write(int fd, off_t offset, std::size_t length) {
        constexpr std::size_t words = block / sizeof(std::uint64_t);
        const auto first = static_cast<std::uint64_t>(offset) / block;
        const std::uint32_t epoch = counts_.epoch;
        for (std::size_t i = 0; i < length / block; ++i)
            std::fill_n(memory_.get() + (i * words), words, marked_for(first + i, epoch));
        return ::pwrite(fd, memory_.get(), length, offset) == static_cast<ssize_t>(length);
    }

    bool read(int fd, off_t offset, std::size_t length) {
        const std::size_t words = length / sizeof(std::uint64_t);
        std::fill_n(memory_.get(), words, poison);
        const std::uint32_t before = counts_.epoch;
        const ssize_t got = ::pread(fd, memory_.get(), length, offset);
        if (got <= 0)
            return false;
        for (std::size_t i = 0; i < static_cast<std::size_t>(got) / sizeof(std::uint64_t); ++i)
            if (!sound(memory_.get()[i], before)) {
                violation(counts_, "a read at {} of {} bytes holds {:#018x} at word {}; epoch {}", offset, length,
                          memory_.get()[i], i, before);
                return false;
            }
        return true;
    }

    static bool sound(std::uint64_t word, std::uint32_t epoch) {
        return mark_of(word) == witness_mark || (mark_of(word) == helper_mark && epoch_of(word) >= epoch);
    }

    Dice dice_;
    Counts& counts_;
    std::unique_ptr<std::uint64_t, Free> memory_;
};

} // namespace

void witness(unsigned device, std::uint64_t seed, Counts& counts) {
    Witness witness(seed, counts);
    while (!counts.over)
        witness.visit(device);
}

} // namespace fuzz
