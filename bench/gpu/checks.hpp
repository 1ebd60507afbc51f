// SPDX-License-Identifier: MIT
#pragma once

#include "setting.hpp"

namespace vramswap::bench {

/// Random requests of random lengths against a model of every byte.
[[nodiscard]] Finding check_every_byte(const Setting& setting);

/// A process is killed with SIGKILL; another finds every byte through the descriptors that were kept.
[[nodiscard]] Finding check_killed(const Setting& setting);

/// The same without the open /dev/nvidiaN among the descriptors: either every byte, or a successor that refuses.
[[nodiscard]] Finding check_killed_unheld(const Setting& setting);

/// A context is broken on purpose, under load: no wrong bytes, no further answers, and another process finds all that
/// was answered.
[[nodiscard]] Finding check_broken(const Setting& setting);

/// No I/O thread enters the kernel but to sleep, as it would without a GPU: system calls, counted with ptrace.
[[nodiscard]] Finding check_system_calls(const Setting& setting);

/// The driver takes memory that is mapped into this process as the kernel module maps it (vm_insert_pages; here that of
/// a packet socket's ring). Needs CAP_NET_RAW.
[[nodiscard]] Finding check_registration(const Setting& setting);

/// From nothing to serving.
[[nodiscard]] Finding check_start(const Setting& setting);

/// All memory is locked as the helper does it, under load: what the driver has reserved must not come to be there.
[[nodiscard]] Finding check_memory(const Setting& setting);

} // namespace vramswap::bench
