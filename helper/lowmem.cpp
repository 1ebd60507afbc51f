// SPDX-License-Identifier: MIT
#include "lowmem.hpp"

#include <array>
#include <cerrno>
#include <fstream>
#include <string>
#include <string_view>

#include <fcntl.h>
#include <malloc.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "fd.hpp"

#ifndef PR_SET_IO_FLUSHER
#define PR_SET_IO_FLUSHER 57 // linux/prctl.h, since 5.6
#endif

namespace vramswap::lowmem {
namespace {

/// Writes a short text to a file of the kernel's that has just been opened, or was then not. 0 or an errno.
int write_text(const Fd& fd, std::string_view text) {
    if (!fd)
        return errno;
    return ::pwrite(fd.get(), text.data(), text.size(), 0) < 0 ? errno : 0;
}

int write_text(const std::string& path, std::string_view text) {
    return write_text(Fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC)), text);
}

/// Is this already the first line of that file?
bool has_line(const std::string& path, std::string_view text) {
    std::ifstream file(path);
    std::string line;
    return std::getline(file, line) && line == text;
}

/// The directory of this process's cgroup of version 2; empty in the root or without one.
std::string own_cgroup() {
    std::ifstream file("/proc/self/cgroup");
    for (std::string line; std::getline(file, line);)
        if (line.starts_with("0::/") && line.size() > 4)
            return "/sys/fs/cgroup" + line.substr(3);
    return {};
}

bool alone_in(const std::string& cgroup) {
    std::ifstream file(cgroup + "/cgroup.procs");
    bool seen = false;
    for (pid_t pid = 0; file >> pid; seen = true)
        if (pid != ::getpid())
            return false;
    return seen;
}

struct Setting {
    std::string_view file;
    std::string_view value;
    std::string_view unit_setting;
};
constexpr std::array settings{Setting{"memory.high", "max", "MemoryHigh=infinity"},
                              Setting{"memory.swap.max", "0", "MemorySwapMax=0"}};

} // namespace

Result<void> become_io_flusher() {
    if (::prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0) == 0)
        return {};
    if (errno == EPERM)
        return fail(EPERM, "this process may not become an I/O flusher: CAP_SYS_RESOURCE is missing; run vramswapd as "
                           "root");
    if (errno == EINVAL)
        return fail(EINVAL, "this kernel has no PR_SET_IO_FLUSHER (Linux 5.6); without it the helper could wait for "
                            "itself when memory is low");
    return fail(errno, "could not become an I/O flusher: {}", errno_text(errno));
}

void steady_malloc() {
    ::mallopt(M_TRIM_THRESHOLD, -1); // freed memory stays ours
    ::mallopt(M_MMAP_MAX, 0);        // and comes from one heap, not from mappings of its own
    ::mallopt(M_TOP_PAD, 1 << 20);   // with a reserve that is there before it is needed
    ::mallopt(M_ARENA_MAX, 1);
}

Result<void> lock_memory() {
    if (::mlockall(MCL_CURRENT) == 0 && ::mlockall(MCL_FUTURE | MCL_ONFAULT) == 0)
        return {};
    const int code = errno;
    if (code == ENOMEM || code == EPERM || code == EAGAIN)
        return fail(code, "the memory of this process may not be locked: RLIMIT_MEMLOCK is too low and CAP_IPC_LOCK is "
                          "missing, or memory is short; run vramswapd as root, or set LimitMEMLOCK=infinity");
    return fail(code, "could not lock the memory of this process: {}", errno_text(code));
}

Result<void> refuse_oom_kill() {
    const int code = write_text("/proc/self/oom_score_adj", "-1000");
    if (code == EACCES || code == EPERM)
        return fail(code,
                    "this process may not be kept from the OOM killer: CAP_SYS_RESOURCE is missing; run vramswapd "
                    "as root, or set OOMScoreAdjust=-1000");
    if (code != 0)
        return fail(code, "could not write /proc/self/oom_score_adj: {}", errno_text(code));
    return {};
}

OwnCgroup::OwnCgroup(const Log& log) {
    const std::string cgroup = own_cgroup();
    if (cgroup.empty())
        return;
    if (!alone_in(cgroup)) {
        log.notice("the cgroup {} has other processes too, so its memory limits are left as they are", cgroup);
        return;
    }
    files_.reserve(settings.size());
    for (const Setting& setting : settings) {
        const std::string path = fmt::format("{}/{}", cgroup, setting.file);
        files_.emplace_back(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
        // Where the unit has set it, it may well forbid to write there.
        const int code = has_line(path, setting.value) ? 0 : write_text(files_.back(), setting.value);
        // Without the memory controller the files are missing, and with them the limits.
        if (code != 0 && code != ENOENT)
            log.warning("could not set {} of {} ({}): a limit there could stall the helper; set {} in its unit",
                        setting.file, cgroup, errno_text(code), setting.unit_setting);
    }
}

void OwnCgroup::free_again() const noexcept {
    for (std::size_t i = 0; i < files_.size(); ++i)
        if (files_[i])
            (void)write_text(files_[i], settings.at(i).value);
}

void unthrottle_writeback(unsigned device, const Log& log) {
    const std::string file = fmt::format("/sys/block/vramswap{}/queue/wbt_lat_usec", device);
    const int code = write_text(file, "0");
    // Kernels without the throttling lack the file, or refuse to write it.
    if (code != 0 && code != ENOENT && code != EINVAL)
        log.notice("could not write 0 to {} ({}): writeback throttling stays on", file, errno_text(code));
}

} // namespace vramswap::lowmem
