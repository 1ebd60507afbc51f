// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

#include "error.hpp"

namespace vramswap {

/// What the helper asks of the control device.
enum class Call : std::uint8_t { open, attach, map, start, enter, stop };

/// The sentence for `code` (an errno) from `call` on /dev/vramswapcN: what happened, and what to do.
[[nodiscard]] Error ring_error(Call call, int code, unsigned device);

} // namespace vramswap
