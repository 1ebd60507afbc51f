// SPDX-License-Identifier: MIT
#include "host_store.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <fstream>
#include <limits>
#include <optional>

#include <fcntl.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>

#include "memory_file.hpp"
#include "size.hpp"
#include "vramswap.h"

namespace vramswap {
namespace {

/// From linux/magic.h of the kernel's own tree; not in its exported header.
constexpr long ramfs_magic_number = 0x858458f6;

/// What DAX character devices demand of mappings where sysfs does not say, bytes.
constexpr std::uint64_t dax_granule = 2ULL << 20;

/// What a store's object is, as far as sizes go.
struct Extent {
    std::optional<std::uint64_t> size;           ///< bytes; nothing if the object does not say
    std::uint64_t granule = VRAMSWAP_BLOCK_SIZE; ///< mappings are multiples of this many bytes
};

std::uint64_t round_up(std::uint64_t value, std::uint64_t granule) {
    return (value + granule - 1) / granule * granule;
}

/// A number in a file of sysfs or procfs, if it can be read.
std::optional<std::uint64_t> number_in(const std::string& path) {
    std::ifstream file(path);
    std::uint64_t number = 0;
    if (file >> number)
        return number;
    return std::nullopt;
}

/// Bytes of memory that can be had without swapping, by the kernel's own estimate.
std::uint64_t available_memory() {
    std::ifstream meminfo("/proc/meminfo");
    std::string key;
    std::uint64_t kib = 0;
    for (std::string rest; meminfo >> key >> kib; std::getline(meminfo, rest))
        if (key == "MemAvailable:")
            return kib << 10;
    return std::numeric_limits<std::uint64_t>::max();
}

/// Makes a regular file `size` bytes long, with its blocks really there: a full file system is noticed now and not
/// as a SIGBUS later.
Result<void> allocate(int fd, std::uint64_t size, const std::string& name) {
    const int code = ::posix_fallocate(fd, 0, static_cast<off_t>(size));
    if (code == ENOSPC)
        return fail(code, "the file system of {} has no room for {}", name, size_text(size));
    if (code != 0)
        return fail(code, "could not allocate {} for {}: {}", size_text(size), name, errno_text(code));
    return {};
}

Result<Extent> regular_extent(int fd, const struct stat& status, std::uint64_t capacity, const std::string& name,
                              const Log& log) {
    struct statfs system{};
    if (::fstatfs(fd, &system) != 0)
        return fail(errno, "could not look at the file system of {}: {}", name, errno_text(errno));
    const auto kind = static_cast<long>(system.f_type);
    if (kind == SYSFS_MAGIC) // a PCI BAR, as long as it is
        return Extent{.size = static_cast<std::uint64_t>(status.st_size)};
    const bool huge = kind == HUGETLBFS_MAGIC;
    const Extent extent{.size = {}, .granule = huge ? static_cast<std::uint64_t>(system.f_bsize) : VRAMSWAP_BLOCK_SIZE};
    struct statx details{};
    const bool dax = ::statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &details) == 0 &&
                     (details.stx_attributes & STATX_ATTR_DAX) != 0;
    if (!huge && !dax && kind != TMPFS_MAGIC && kind != ramfs_magic_number)
        log.warning("{} is on a file system that writes to a disk: when memory is low, swapping to it can wait for "
                    "itself; use hugetlbfs, a DAX device, or no --store at all",
                    name);
    const std::uint64_t size = std::max(round_up(capacity, extent.granule), static_cast<std::uint64_t>(status.st_size));
    if (auto allocated = allocate(fd, size, name); !allocated)
        return pass_on(allocated);
    return Extent{.size = size, .granule = extent.granule};
}

Result<Extent> block_extent(int fd, const std::string& name) {
    std::uint64_t size = 0;
    if (::ioctl(fd, BLKGETSIZE64, &size) != 0)
        return fail(errno, "could not learn the size of {}: {}", name, errno_text(errno));
    return Extent{.size = size};
}

/// DAX devices say in sysfs how big they are; of others we learn only whether mmap takes the length.
Extent character_extent(const struct stat& status) {
    const std::string base = fmt::format("/sys/dev/char/{}:{}/", major(status.st_rdev), minor(status.st_rdev));
    const auto size = number_in(base + "size");
    if (!size)
        return {};
    return {.size = size, .granule = number_in(base + "align").value_or(dax_granule)};
}

Result<Extent> extent_of(int fd, std::uint64_t capacity, const std::string& name, const Log& log) {
    struct stat status{};
    if (::fstat(fd, &status) != 0)
        return fail(errno, "could not look at {}: {}", name, errno_text(errno));
    if (S_ISREG(status.st_mode))
        return regular_extent(fd, status, capacity, name, log);
    if (S_ISBLK(status.st_mode))
        return block_extent(fd, name);
    if (S_ISCHR(status.st_mode))
        return character_extent(status);
    return fail(EINVAL, "{} is neither a file nor a device", name);
}

/// Opens the store for this process alone: O_EXCL keeps mounted block devices out, the lock a second helper.
Result<Fd> open_alone(const std::string& path, bool may_create) {
    struct stat status{};
    const bool there = ::stat(path.c_str(), &status) == 0;
    // A misspelt device must not become a file in /dev.
    const bool create = may_create && path.substr(0, path.find_last_of('/')) != "/dev";
    int flags = O_RDWR | O_CLOEXEC;
    if (there && S_ISBLK(status.st_mode))
        flags |= O_EXCL;
    else if (!there && create)
        flags |= O_CREAT;
    Fd fd(::open(path.c_str(), flags, S_IRUSR | S_IWUSR));
    if (!fd && errno == EBUSY)
        return fail(EBUSY, "{} is in use, perhaps mounted", path);
    if (!fd)
        return fail(errno, "could not open the store {}: {}", path, errno_text(errno));
    if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
        return fail(EBUSY, "{} is the store of another vramswapd", path);
    return fd;
}

/// Makes every page be there. The touching is for mappings that cannot be populated (device memory).
Result<void> populate(std::span<std::byte> bytes, const std::string& name) {
    if (::madvise(bytes.data(), bytes.size(), MADV_POPULATE_WRITE) == 0)
        return {};
    if (errno == ENOMEM || errno == EFAULT || errno == EHWPOISON)
        return fail(errno, "there is no memory for {} in {}: {}", size_text(bytes.size()), name, errno_text(errno));
    for (std::size_t offset = 0; offset < bytes.size(); offset += VRAMSWAP_BLOCK_SIZE)
        std::atomic_ref(reinterpret_cast<unsigned char&>(bytes[offset])).fetch_or(0, std::memory_order_relaxed);
    return {};
}

Result<void> lock(std::span<std::byte> bytes, const std::string& name) {
    if (::mlock(bytes.data(), bytes.size()) == 0)
        return {};
    const int code = errno;
    if (code == ENOMEM || code == EPERM || code == EAGAIN)
        return fail(
            code,
            "{} in {} may not be locked: RLIMIT_MEMLOCK is too low and CAP_IPC_LOCK is missing; run vramswapd as "
            "root, or set LimitMEMLOCK=infinity",
            size_text(bytes.size()), name);
    return fail(code, "could not lock {} in {}: {}", size_text(bytes.size()), name, errno_text(code));
}

constexpr const char* memfd_name = "the memfd";

} // namespace

Result<HostStore> HostStore::map(Fd fd, std::uint64_t capacity, std::uint64_t granule, const std::string& name) {
    Mapping mapping = Mapping::map(fd.get(), 0, round_up(capacity, granule), PROT_READ | PROT_WRITE);
    if (!mapping)
        return fail(errno, "could not map {} of {}: {}", size_text(capacity), name, errno_text(errno));
    // Fewer TLB misses where the system allows it for shared memory; nothing is lost where it does not.
    (void)::madvise(mapping.bytes().data(), mapping.bytes().size(), MADV_HUGEPAGE);
    // A successor process must not inherit the store by accident, and core dumps must not hold swapped pages.
    (void)::madvise(mapping.bytes().data(), mapping.bytes().size(), MADV_DONTDUMP);
    auto there = in_turn([&] { return populate(mapping.bytes(), name); }, [&] { return lock(mapping.bytes(), name); });
    if (!there)
        return pass_on(there);
    return HostStore(std::move(fd), std::move(mapping), capacity);
}

Result<HostStore> HostStore::make_memfd(std::uint64_t capacity) {
    if (const auto available = available_memory(); capacity > available)
        return fail(ENOMEM, "--size is {}, but only about {} MiB of memory are free", size_text(capacity),
                    available >> 20);
    auto fd = make_memory_file("vramswap-store", capacity);
    if (!fd)
        return pass_on(fd);
    return map(std::move(*fd), capacity, VRAMSWAP_BLOCK_SIZE, memfd_name);
}

Result<HostStore> HostStore::adopt_memfd(Fd fd, std::uint64_t capacity) {
    struct stat status{};
    if (::fstat(fd.get(), &status) != 0)
        return fail(errno, "could not look at the memory that the service manager kept: {}", errno_text(errno));
    if (static_cast<std::uint64_t>(status.st_size) != capacity)
        return fail(ERANGE, "the service manager kept {} of memory, but the contents held are {}",
                    size_text(static_cast<std::uint64_t>(status.st_size)), size_text(capacity));
    return map(std::move(fd), capacity, VRAMSWAP_BLOCK_SIZE, memfd_name);
}

Result<HostStore> HostStore::open_path(const std::string& path, std::uint64_t capacity, bool may_create,
                                       const Log& log) {
    auto fd = open_alone(path, may_create);
    if (!fd)
        return pass_on(fd);
    const auto extent = extent_of(fd->get(), capacity, path, log);
    if (!extent)
        return std::unexpected(extent.error());
    if (extent->size && *extent->size < round_up(capacity, extent->granule))
        return fail(ENOSPC, "{} holds {}, but {} are asked for", path, size_text(*extent->size), size_text(capacity));
    return map(std::move(*fd), capacity, extent->granule, path);
}

} // namespace vramswap
