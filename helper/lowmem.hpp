// SPDX-License-Identifier: MIT
// How the helper survives the shortage of memory that it exists for. It must never wait for a page that only it could
// write out. Every step is demanded: a helper that skipped one would freeze its machine some day.
#pragma once

#include <cstddef>
#include <vector>

#include "error.hpp"
#include "fd.hpp"
#include "log.hpp"

namespace vramswap::lowmem {

/// Stack of an I/O thread, bytes. Small, because mlockall makes all of it be there.
inline constexpr std::size_t thread_stack_size = 256UL << 10;

/// First of all, since threads inherit it: memory that this thread and its children allocate is never found by
/// waiting for I/O. Needs CAP_SYS_RESOURCE.
[[nodiscard]] Result<void> become_io_flusher();

/// Keeps malloc from giving memory back and asking for it again.
void steady_malloc();

/// All memory present now, and all to come once it is touched. Call when the threads exist and everything is mapped.
[[nodiscard]] Result<void> lock_memory();

/// The OOM killer takes everyone else first: without the helper all that is swapped out waits.
[[nodiscard]] Result<void> refuse_oom_kill();

/// No throttling and no swapping of this process's cgroup (version 2), provided that the process is alone in it: so
/// before it starts others. Best effort: the warning says what to do where it is not permitted.
class OwnCgroup {
public:
    explicit OwnCgroup(const Log& log);

    /// Once more, before a worker starts: under a memory.high that somebody has set since, every bit of memory that it
    /// asks for would cost it two seconds of sleep (the kernel's MEMCG_MAX_HIGH_DELAY_JIFFIES). Opens no file: to look
    /// one up may take locks of those who wait for memory.
    void free_again() const noexcept;

private:
    std::vector<Fd> files_; ///< one for each setting; none if the cgroup is not ours alone
};

/// Turns off the block layer's writeback throttling for vramswapN: made for disks that grow slow under writes, it would
/// hold back swap-out. Only before the device is live: the kernel waits for all I/O of the device. Best effort.
void unthrottle_writeback(unsigned device, const Log& log);

} // namespace vramswap::lowmem
