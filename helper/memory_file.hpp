// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

#include "error.hpp"
#include "fd.hpp"

namespace vramswap {

/// Makes an unnamed file in memory of `size` bytes, all zero. `name` is for people, in /proc/PID/fd.
///
/// Its pages must never be swapped out. While a helper runs it has them locked, but between a helper's death and its
/// successor's start nobody has, and what is then swapped out may go to the very device that waits for the successor.
/// So the file lies in a tmpfs of its own, mounted nowhere and with swapping off (Linux 6.4, CAP_SYS_ADMIN). Elsewhere
/// it is a memfd, sealed against shrinking and growing, and memory.swap.max of the helper's cgroup has to do.
[[nodiscard]] Result<Fd> make_memory_file(const char* name, std::uint64_t size);

} // namespace vramswap
