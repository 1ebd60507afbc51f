// SPDX-License-Identifier: MIT
// Numbers and foreign text as people read them. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace vramswap::ctl {

/// Bytes in binary units with one decimal where it says something: "512B", "1.5K", "64G".
std::string format_size(std::uint64_t bytes);

/// Three digits and a unit: "850ns", "12.3us", "1.20ms", "48.1s". "-" for nothing.
std::string format_latency(std::optional<double> ns);

/// Milliseconds as seconds: "30s", "2.5s".
std::string format_seconds(std::uint32_t ms);

/// For MB/s (10^6 bytes): "0.0", "12.3", "4510".
std::string format_rate(double rate);

/// Text that may come from anywhere, safe for a terminal and on one line: control characters and what is no UTF-8
/// become '?'.
std::string printable(std::string_view text);

/// How many columns `text` (UTF-8, without wide or combining characters) takes on a terminal.
std::size_t display_width(std::string_view text);

/// The first `width` columns of `text`; if there are more, the last of these is "…".
std::string cut_to_width(std::string_view text, std::size_t width);

/// `text` broken between words, so that it fits into lines of `width` columns (0: of any length) of which the first
/// `indent` are taken: by blanks in all lines but the first, which is the caller's.
std::string wrapped(std::string_view text, std::size_t indent, std::size_t width);

} // namespace vramswap::ctl
