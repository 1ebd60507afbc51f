// SPDX-License-Identifier: MIT
// Sizes as people write and read them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "error.hpp"

namespace vramswap {

/// Bytes from a number with an optional binary suffix: K, M, G or T, alone or as KiB, MiB, GiB, TiB, in either case.
[[nodiscard]] Result<std::uint64_t> parse_size(std::string_view text);

/// The power of two that a size's suffix stands for, 0 for none; nothing for what is no suffix.
[[nodiscard]] std::optional<unsigned> size_suffix_shift(std::string_view suffix);

/// What a device of that size holds: whole blocks. Error (EINVAL) if that is less or more than a device can hold.
[[nodiscard]] Result<std::uint64_t> capacity_of(std::uint64_t size);

/// Bytes for people: "4 GiB", "1.5 GiB", "4097 bytes".
[[nodiscard]] std::string size_text(std::uint64_t bytes);

} // namespace vramswap
