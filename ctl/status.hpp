// SPDX-License-Identifier: MIT
// What `vramswapctl status` shows people. Pure.
#pragma once

#include "commands.hpp"
#include "sample.hpp"

#include <cstddef>
#include <string>

namespace vramswap::ctl {

/// A line for each device of `now`, with rates since `before` where it has the device. With `width`, no line is longer
/// than that many terminal columns.
std::string status_text(const Samples& now, const Samples& before, const TableStyle& style, std::size_t width);

} // namespace vramswap::ctl
