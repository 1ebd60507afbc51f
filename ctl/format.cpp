// SPDX-License-Identifier: MIT
#include "format.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace vramswap::ctl {
namespace {

bool is_continuation(char byte) {
    return (static_cast<unsigned char>(byte) & 0xC0U) == 0x80U;
}

// The length that a UTF-8 lead byte promises, 0 if it is none.
std::size_t sequence_length(unsigned char lead) {
    if (lead < 0x80U)
        return 1;
    if (lead >= 0xC2U && lead < 0xE0U)
        return 2;
    if (lead >= 0xE0U && lead < 0xF0U)
        return 3;
    return lead >= 0xF0U && lead < 0xF5U ? 4 : 0;
}

// The length of the well-formed, printable character that `text` starts with, 0 if it starts with none.
std::size_t printable_prefix(std::string_view text) {
    const auto lead = static_cast<unsigned char>(text.front());
    const std::size_t length = sequence_length(lead);
    if (length == 0 || length > text.size() || lead < 0x20U || lead == 0x7FU)
        return 0;
    if (!std::ranges::all_of(text.substr(1, length - 1), is_continuation))
        return 0;
    const bool c1_control = lead == 0xC2U && static_cast<unsigned char>(text[1]) < 0xA0U;
    return c1_control ? 0 : length;
}

} // namespace

std::string format_size(std::uint64_t bytes) {
    constexpr std::string_view units = "BKMGTPE";
    auto value = static_cast<double>(bytes);
    std::size_t unit = 0;
    // 1023.95 would round to 1024.0: that is 1 of the next unit.
    while (unit + 1 < units.size() && value >= (unit == 0 ? 1024.0 : 1023.95)) {
        value /= 1024;
        ++unit;
    }
    const double rounded = std::round(value * 10) / 10;
    return rounded == std::floor(rounded) ? fmt::format("{:.0f}{}", rounded, units[unit])
                                          : fmt::format("{:.1f}{}", rounded, units[unit]);
}

std::string format_latency(std::optional<double> ns) {
    if (!ns)
        return "-";
    constexpr std::array<const char*, 4> units{"ns", "us", "ms", "s"};
    double value = *ns;
    std::size_t unit = 0;
    while (unit + 1 < units.size() && value >= 999.5) {
        value /= 1000;
        ++unit;
    }
    if (unit == 0 || value >= 99.95)
        return fmt::format("{:.0f}{}", value, units[unit]);
    return fmt::format("{:.{}f}{}", value, value < 9.995 ? 2 : 1, units[unit]);
}

std::string format_seconds(std::uint32_t ms) {
    return fmt::format("{}s", static_cast<double>(ms) / 1000);
}

std::string format_rate(double rate) {
    return fmt::format("{:.{}f}", rate, rate < 999.95 ? 1 : 0);
}

std::string printable(std::string_view text) {
    std::string clean;
    while (!text.empty()) {
        const std::size_t length = printable_prefix(text);
        clean += length == 0 ? "?" : text.substr(0, length);
        text.remove_prefix(std::max<std::size_t>(length, 1));
    }
    return clean;
}

std::size_t display_width(std::string_view text) {
    return text.size() - static_cast<std::size_t>(std::ranges::count_if(text, is_continuation));
}

std::string cut_to_width(std::string_view text, std::size_t width) {
    if (display_width(text) <= width)
        return std::string(text);
    if (width == 0)
        return "";
    std::size_t end = 0;
    for (std::size_t columns = 0; is_continuation(text[end]) || columns++ < width - 1;)
        ++end;
    return std::string(text.substr(0, end)) + "…";
}

std::string wrapped(std::string_view text, std::size_t indent, std::size_t width) {
    std::string lines;
    std::size_t column = indent;
    while (!text.empty()) {
        const std::string_view word = text.substr(0, text.find(' '));
        const std::size_t needs = display_width(word) + (column == indent ? 0 : 1);
        if (column != indent && width != 0 && column + needs > width) {
            lines += "\n" + std::string(indent, ' ');
            column = indent;
            continue;
        }
        lines += (column == indent ? "" : " ") + std::string(word);
        column += needs;
        text.remove_prefix(std::min(word.size() + 1, text.size()));
    }
    return lines;
}

} // namespace vramswap::ctl
