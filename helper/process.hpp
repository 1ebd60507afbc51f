// SPDX-License-Identifier: MIT
// What this process must be before it owns anything. All of it is inherited by the worker.
#pragma once

#include <signal.h> // NOLINT(modernize-deprecated-headers): sigset_t

#include "error.hpp"

namespace vramswap::process {

/// Descriptors 0, 1 and 2 are there. If whoever started us closed them, what we are to keep would take their place, and
/// be logged to. Before any other descriptor is made.
[[nodiscard]] Result<void> have_standard_files();

/// The signals that mean: stop.
[[nodiscard]] sigset_t stop_signals();

/// Signals to stop wait until somebody asks for them, and all others that would end or stop us by default, and that
/// others send, are ignored: contents are not lost for a key pressed in the wrong terminal.
[[nodiscard]] Result<void> hold_signals_back();

/// No core dump: a process that crashes is dead, and its successor can start, only when its core has been written, by a
/// program perhaps that waits for a page of ours.
[[nodiscard]] Result<void> refuse_core_dumps();

} // namespace vramswap::process
