// SPDX-License-Identifier: MIT
#pragma once

#include "setting.hpp"

namespace vramswap::bench {

/// Random requests of random lengths against a model of every byte.
[[nodiscard]] Finding check_every_byte(const Setting& setting);

/// A process is killed with SIGKILL; another finds every byte through the descriptors that were kept.
[[nodiscard]] Finding check_killed(const Setting& setting);

/// No I/O thread enters the kernel but to sleep, as it would without a GPU: system calls, counted with ptrace.
[[nodiscard]] Finding check_system_calls(const Setting& setting);

/// The driver takes memory that is mapped into this process as the kernel module maps it (vm_insert_pages; here that of
/// a packet socket's ring). Needs CAP_NET_RAW.
[[nodiscard]] Finding check_registration(const Setting& setting);

/// From nothing to serving.
[[nodiscard]] Finding check_start(const Setting& setting);

} // namespace vramswap::bench
