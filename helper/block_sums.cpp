// SPDX-License-Identifier: MIT
#include "block_sums.hpp"

#include <array>
#include <atomic>
#include <cassert>
#include <cerrno>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "memory_file.hpp"
#include "vramswap.h"

namespace vramswap {
namespace {

using Sum = BlockSums::Sum;

std::uint64_t table_bytes(std::uint64_t capacity) {
    return capacity / VRAMSWAP_BLOCK_SIZE * sizeof(Sum);
}

/// With all pages there: nothing on the way of a request may ask for memory.
Result<Mapping> map_all(const Fd& fd, std::uint64_t bytes) {
    Mapping mapping = Mapping::map(fd.get(), 0, bytes, PROT_READ | PROT_WRITE);
    if (!mapping)
        return fail(errno, "could not map {} bytes for checksums: {}", bytes, errno_text(errno));
    // MADV_POPULATE_WRITE tells of missing memory where a touch would be answered with a signal.
    if (::madvise(mapping.bytes().data(), bytes, MADV_POPULATE_WRITE) != 0)
        return fail(errno == EFAULT ? ENOMEM : errno, "there are no {} bytes of memory for checksums: {}", bytes,
                    errno_text(errno));
    return mapping;
}

/// What becomes of an entry when another write begins. A first one is alone, 1; with a second it is 3, one more than
/// there are.
Sum with_one_more(Sum entry) noexcept {
    if (entry == BlockSums::unknown || BlockSums::is_sum(entry))
        return 1;
    return entry == 1 ? 3 : entry + 1;
}

/// And when one ends that wrote `sum`. One that ended without having begun is a dead helper's.
Sum with_one_less(Sum entry, Sum sum) noexcept {
    if (entry == 1)
        return sum;
    return entry > 2 && !BlockSums::is_sum(entry) ? entry - 1 : BlockSums::unknown;
}

template<class Change>
void change(Sum& entry, const Change& to) noexcept {
    const std::atomic_ref<Sum> shared(entry);
    Sum old = shared.load(std::memory_order_relaxed);
    while (!shared.compare_exchange_weak(old, to(old), std::memory_order_acq_rel, std::memory_order_relaxed)) {
    }
}

} // namespace

Sum BlockSums::of(std::span<const std::byte> block) noexcept {
    return static_cast<Sum>(XXH3_64bits(block.data(), block.size())) | sum_bit;
}

Sum BlockSums::of_zeroes() noexcept {
    static constexpr std::array<std::byte, VRAMSWAP_BLOCK_SIZE> zeroes{};
    static const Sum sum = of(zeroes);
    return sum;
}

Result<BlockSums> BlockSums::make(std::uint64_t capacity) {
    const std::uint64_t bytes = table_bytes(capacity);
    auto fd = make_memory_file("vramswap-sums", bytes);
    if (!fd)
        return pass_on(fd);
    auto entries = map_all(*fd, bytes);
    if (!entries)
        return pass_on(entries);
    return BlockSums(std::move(*fd), std::move(*entries));
}

Result<BlockSums> BlockSums::adopt(Fd fd, std::uint64_t capacity) {
    const std::uint64_t bytes = table_bytes(capacity);
    struct stat status{};
    if (::fstat(fd.get(), &status) != 0 || static_cast<std::uint64_t>(status.st_size) != bytes)
        return fail(EINVAL, "the checksums that were kept are not those of {} bytes", capacity);
    auto entries = map_all(fd, bytes);
    if (!entries && entries.error().code != ENOMEM && entries.error().code != EAGAIN && clear(fd))
        entries = map_all(fd, bytes);
    if (!entries)
        return pass_on(entries);
    BlockSums sums(std::move(fd), std::move(*entries));
    for (std::uint64_t block = 0; block < sums.size(); ++block)
        if (!is_sum(sums.at(block)))
            sums.entry(block) = unknown;
    return sums;
}

Result<void> BlockSums::clear(const Fd& fd) {
    struct stat status{};
    // Where there is a hole it reads as zeroes: nothing is known.
    if (::fstat(fd.get(), &status) != 0 ||
        (status.st_size != 0 &&
         ::fallocate(fd.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, status.st_size) != 0))
        return fail(errno, "a predecessor's checksums cannot be cleared: {}", errno_text(errno));
    return {};
}

Sum& BlockSums::entry(std::uint64_t block) const noexcept {
    assert(block < size());
    return reinterpret_cast<Sum*>(entries_.bytes().data())[block];
}

Sum BlockSums::at(std::uint64_t block) const noexcept {
    return std::atomic_ref<Sum>(entry(block)).load(std::memory_order_acquire);
}

void BlockSums::begin_write(std::uint64_t block) noexcept {
    change(entry(block), with_one_more);
}

void BlockSums::end_write(std::uint64_t block, Sum sum) noexcept {
    change(entry(block), [sum](Sum entry) { return with_one_less(entry, sum); });
}

} // namespace vramswap
