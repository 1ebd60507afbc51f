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

/// Did the kernel take the device's contents from their last helper because it gave no answer? Such a helper, stuck in
/// a driver perhaps, can note nothing for its successor. Where the kernel cannot be asked: false.
[[nodiscard]] bool device_was_silent(unsigned device);

} // namespace vramswap
