// SPDX-License-Identifier: MIT
// The world around: standard output, the wall clock, /proc.
#pragma once

#include "control.hpp"
#include "error.hpp"
#include "parse.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vramswap::ctl {

/// Writes and flushes, so that a reader at the other end of a pipe sees each line at once.
Result<void> print(std::string_view text);

/// Whether standard output is a terminal, and how many columns it has (0 if it is none).
bool on_terminal();
std::size_t terminal_width();

/// Local time: "23:59:07", "2025-11-20 23:59:07.123" and "2025-11-20T23:59:07.123+0100".
std::string clock_now();
std::string date_now();
std::string timestamp_now();

/// What is swapped on now.
std::vector<SwapArea> read_swaps();

/// All of a file; empty if it cannot be read.
std::string read_text(const std::string& path);

/// How much memory there is. Error: the kernel does not tell.
Result<MemoryInfo> read_memory();

/// Says on standard error that there is nothing to show and how to change that.
void note_no_device();

/// The device asked for, or all there are.
Result<std::vector<DeviceInfo>> choose_devices(Control& control, std::optional<std::uint32_t> device);

} // namespace vramswap::ctl
