// SPDX-License-Identifier: MIT
#pragma once

#include "shared.hpp"

namespace fuzz {

/// Sends messages of all kinds to the family "vramswap" until the end: right ones with wrong values, wrong ones, broken
/// ones. Devices 0 and 1 are asked for and never changed. Without privileges, if `privileged` is false: then nothing
/// may be changed at all.
void netlink(std::uint64_t seed, bool privileged, Counts& counts);

} // namespace fuzz
