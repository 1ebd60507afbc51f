// SPDX-License-Identifier: MIT
#include "memory_file.hpp"

#include <cerrno>

#include <fcntl.h>
#include <linux/memfd.h>
#include <linux/mount.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>

namespace vramswap {
namespace {

/// Room in a tmpfs beyond its one file, bytes; none is needed, but its size is counted in pages that may be huge.
constexpr std::uint64_t slack = 4ULL << 20;

// System calls by number: the wrappers clash with linux/mount.h in some versions of glibc.
Fd open_file_system(const char* type) {
    return Fd(static_cast<int>(::syscall(SYS_fsopen, type, FSOPEN_CLOEXEC)));
}

bool configure(const Fd& context, unsigned command, const char* key, const char* value) {
    return ::syscall(SYS_fsconfig, context.get(), command, key, value, 0) == 0;
}

Fd mount_nowhere(const Fd& context) {
    const unsigned attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
    return Fd(static_cast<int>(::syscall(SYS_fsmount, context.get(), FSMOUNT_CLOEXEC, attributes)));
}

/// No descriptor where the kernel or our rights do not allow it; that is no error.
Fd make_unswappable(std::uint64_t size) {
    const Fd context = open_file_system("tmpfs");
    if (!context || !configure(context, FSCONFIG_SET_FLAG, "noswap", nullptr) ||
        !configure(context, FSCONFIG_SET_STRING, "size", std::to_string(size + slack).c_str()))
        return {};
    // Fewer TLB misses and faster to fill; without transparent huge pages there is no such option.
    (void)configure(context, FSCONFIG_SET_STRING, "huge", "within_size");
    if (!configure(context, FSCONFIG_CMD_CREATE, nullptr, nullptr))
        return {};
    const Fd mount = mount_nowhere(context);
    if (!mount)
        return {};
    // The file keeps the mount alive.
    return Fd(::openat(mount.get(), ".", O_TMPFILE | O_RDWR | O_CLOEXEC, S_IRUSR | S_IWUSR));
}

} // namespace

Result<Fd> make_memory_file(const char* name, std::uint64_t size) {
    if (Fd file = make_unswappable(size); file && ::ftruncate(file.get(), static_cast<off_t>(size)) == 0)
        return file;
    Fd file(::memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
    // Whoever else gets hold of the descriptor cannot pull memory from under a mapping.
    if (!file || ::ftruncate(file.get(), static_cast<off_t>(size)) != 0 ||
        ::fcntl(file.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
        return fail(errno, "could not make a file in memory of {} bytes: {}", size, errno_text(errno));
    return file;
}

} // namespace vramswap
