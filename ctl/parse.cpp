// SPDX-License-Identifier: MIT
#include "parse.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <limits>
#include <sstream>

namespace vramswap::ctl {
namespace {

// All of `text` as a number, or nothing.
template<typename Number>
std::optional<Number> parse_number(std::string_view text) {
    Number value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size())
        return std::nullopt;
    return value;
}

// Finite and not negative.
std::optional<double> parse_seconds(std::string_view text) {
    const auto seconds = parse_number<double>(text);
    if (!seconds || !std::isfinite(*seconds) || std::signbit(*seconds))
        return std::nullopt;
    return seconds;
}

// "a\040b" → "a b", as the kernel writes blanks in names.
std::string unescape(std::string_view text) {
    std::string plain;
    for (std::size_t i = 0; i < text.size(); ++i) {
        unsigned code = 0;
        const std::string_view digits = text.substr(i + 1, 3);
        const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), code, 8);
        if (text[i] == '\\' && digits.size() == 3 && error == std::errc{} && end == digits.data() + 3) {
            plain += static_cast<char>(code);
            i += 3;
        } else {
            plain += text[i];
        }
    }
    return plain;
}

} // namespace

Result<std::uint32_t> parse_device(std::string_view text) {
    std::string_view number = text;
    if (number.starts_with("/dev/vramswap"))
        number.remove_prefix(sizeof("/dev/vramswap") - 1);
    else if (number.starts_with("vramswap"))
        number.remove_prefix(sizeof("vramswap") - 1);
    if (const auto index = parse_number<std::uint32_t>(number))
        return *index;
    return fail(EINVAL, "\"{}\" is no vramswap device: write 0, vramswap0 or /dev/vramswap0", text);
}

Result<std::uint32_t> parse_size(std::string_view text) {
    const std::string_view unit = text.empty() ? "" : text.substr(text.size() - 1);
    const unsigned shift = unit == "K" ? 10 : unit == "M" ? 20 : 0;
    const auto number = parse_number<std::uint64_t>(text.substr(0, text.size() - (shift == 0 ? 0 : 1)));
    if (!number)
        return fail(EINVAL, "\"{}\" is no size: write bytes, such as 131072 or 128K", text);
    if (*number > std::numeric_limits<std::uint32_t>::max() >> shift)
        return fail(EINVAL, "{} is too large a size", text);
    return static_cast<std::uint32_t>(*number << shift);
}

Result<std::uint32_t> parse_timeout_ms(std::string_view text) {
    constexpr double most = 86400; // of the kernel's: a day
    const auto seconds = parse_seconds(text);
    if (!seconds)
        return fail(EINVAL, "\"{}\" is no time: write seconds, such as 30 or 0.5", text);
    if (*seconds > most)
        return fail(EINVAL, "{} seconds are too long: {} (a day) is the most", text, most);
    const double ms = std::round(*seconds * 1000);
    if (ms == 0 && *seconds > 0)
        return fail(EINVAL, "{} seconds are too short: write 0.001 or more, or 0", text);
    return static_cast<std::uint32_t>(ms);
}

Result<std::chrono::milliseconds> parse_interval(std::string_view text) {
    const auto seconds = parse_seconds(text);
    if (!seconds || *seconds < 0.1 || *seconds > 86400)
        return fail(EINVAL, "\"{}\" is no interval: write seconds, 0.1 to 86400", text);
    return std::chrono::milliseconds(std::llround(*seconds * 1000));
}

std::vector<SwapArea> parse_swaps(std::string_view text) {
    std::vector<SwapArea> areas;
    std::istringstream lines{std::string(text)};
    for (std::string line; std::getline(lines, line);) {
        std::istringstream words(line);
        std::string path;
        std::string type;
        SwapArea area;
        if (!(words >> path >> type >> area.size >> area.used >> area.priority))
            continue; // the heading
        area.path = unescape(path);
        area.size *= 1024;
        area.used *= 1024;
        areas.push_back(std::move(area));
    }
    return areas;
}

MemoryInfo parse_meminfo(std::string_view text) {
    MemoryInfo memory;
    std::istringstream lines{std::string(text)};
    std::string key;
    std::uint64_t kib = 0;
    for (std::string line; std::getline(lines, line);) {
        std::istringstream words(line);
        if (!(words >> key >> kib))
            continue;
        if (key == "MemTotal:")
            memory.total = kib * 1024;
        else if (key == "MemAvailable:")
            memory.available = kib * 1024;
    }
    return memory;
}

std::optional<SwapArea> find_swap(const std::vector<SwapArea>& areas, std::uint32_t index) {
    const auto found = std::ranges::find(areas, fmt::format("/dev/vramswap{}", index), &SwapArea::path);
    return found == areas.end() ? std::nullopt : std::optional(*found);
}

} // namespace vramswap::ctl
