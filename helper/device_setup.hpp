// SPDX-License-Identifier: MIT
#pragma once

#include "config.hpp"
#include "error.hpp"
#include "log.hpp"

namespace vramswap {

/// Has the kernel's device as the configuration wants it: makes it if it has a section and the kernel has none, makes
/// it anew if it has another number of queues and nobody uses it, and sets its timeouts. For a start without contents
/// of a predecessor: it may wait for memory. A module that is not loaded is left to be complained of by those who need
/// it.
[[nodiscard]] Result<void> device_setup(const Config& config, const Log& log);

} // namespace vramswap
