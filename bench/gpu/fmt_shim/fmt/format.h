// SPDX-License-Identifier: MIT
// What this project uses of {fmt}, for machines that do not have it: bench/gpu/run.sh puts it on the path there, and
// nothing else does. Not std::format, which GCC 12 lacks. Format strings are looked at only when they are used; where
// {fmt} is, the compiler has looked at each.
#pragma once

#include <charconv>
#include <concepts>
#include <cstdint>
#include <cstdio>
#include <stdexcept>
#include <string>
#include <string_view>
#include <variant>

namespace fmt {

/// What stands between the braces behind the colon: "[0][width][.precision][d, x, f or s]".
struct shim_spec {
    bool zeroes = false;
    unsigned width = 0;
    int precision = -1; ///< none
    char type = '\0';   ///< as the argument is
};

using shim_argument = std::variant<bool, char, std::int64_t, std::uint64_t, double, std::string_view>;

template<class Argument>
shim_argument shim_make(const Argument& argument) {
    if constexpr (std::same_as<Argument, bool> || std::same_as<Argument, char>)
        return argument;
    else if constexpr (std::signed_integral<Argument>)
        return std::int64_t{argument};
    else if constexpr (std::unsigned_integral<Argument>)
        return std::uint64_t{argument};
    else if constexpr (std::floating_point<Argument>)
        return double{argument};
    else
        return std::string_view(argument);
}

[[noreturn]] inline void shim_refuse(std::string_view format) {
    throw std::runtime_error("bench/gpu/fmt_shim does not know the format " + std::string(format));
}

inline shim_spec shim_parse(std::string_view text) {
    shim_spec spec;
    const char* at = text.data();
    const char* const end = at + text.size();
    spec.zeroes = at != end && *at == '0';
    if (at != end && *at >= '0' && *at <= '9')
        at = std::from_chars(at, end, spec.width).ptr;
    if (at != end && *at == '.')
        at = std::from_chars(at + 1, end, spec.precision).ptr;
    if (at != end)
        spec.type = *at++;
    if (at != end || std::string_view("dxfs").find(spec.type) == std::string_view::npos)
        if (at != end || spec.type != '\0')
            shim_refuse(text);
    return spec;
}

template<class Number>
std::string shim_digits(Number number, int base) {
    char digits[24];
    return {digits, std::to_chars(digits, digits + sizeof digits, number, base).ptr};
}

/// Numbers without a precision become as short as they can be without a loss, as with {fmt}.
inline std::string shim_double(double number, const shim_spec& spec) {
    char digits[512];
    const auto end = spec.precision < 0 && spec.type == '\0'
                         ? std::to_chars(digits, digits + sizeof digits, number)
                         : std::to_chars(digits, digits + sizeof digits, number, std::chars_format::fixed,
                                         spec.precision < 0 ? 6 : spec.precision);
    return {digits, end.ptr};
}

inline std::string shim_text(const shim_argument& argument, const shim_spec& spec) {
    const int base = spec.type == 'x' ? 16 : 10;
    if (const auto* const number = std::get_if<std::int64_t>(&argument))
        return shim_digits(*number, base);
    if (const auto* const number = std::get_if<std::uint64_t>(&argument))
        return shim_digits(*number, base);
    if (const auto* const number = std::get_if<double>(&argument))
        return shim_double(*number, spec);
    if (const auto* const yes = std::get_if<bool>(&argument))
        return *yes ? "true" : "false";
    if (const auto* const one = std::get_if<char>(&argument))
        return {*one};
    return std::string(std::get<std::string_view>(argument));
}

/// Numbers stand to the right, all else to the left.
inline std::string shim_padded(const shim_argument& argument, const shim_spec& spec) {
    std::string text = shim_text(argument, spec);
    if (text.size() >= spec.width)
        return text;
    const bool number = std::holds_alternative<std::int64_t>(argument) ||
                        std::holds_alternative<std::uint64_t>(argument) || std::holds_alternative<double>(argument);
    const std::size_t sign = spec.zeroes && number && text.front() == '-' ? 1 : 0;
    const std::string pad(spec.width - text.size(), spec.zeroes && number ? '0' : ' ');
    return number ? text.insert(sign, pad) : text + pad;
}

inline std::string shim_format(std::string_view format, const shim_argument* arguments, std::size_t count) {
    std::string text;
    std::size_t next = 0;
    for (std::size_t at = 0; at < format.size(); ++at) {
        const char one = format[at];
        if (one != '{' && one != '}') {
            text += one;
        } else if (at + 1 < format.size() && format[at + 1] == one) {
            text += one;
            ++at;
        } else {
            const std::size_t end = format.find('}', at);
            if (one == '}' || end == std::string_view::npos || next == count)
                shim_refuse(format);
            const std::string_view inside = format.substr(at + 1, end - at - 1);
            if (!inside.empty() && inside.front() != ':')
                shim_refuse(format);
            text += shim_padded(arguments[next++], shim_parse(inside.substr(inside.empty() ? 0 : 1)));
            at = end;
        }
    }
    return text;
}

/// No template of its own, so that a function's other arguments alone say what its format is for.
struct shim_string {
    shim_string(const char* all) : text(all) {} // NOLINT(google-explicit-constructor): as {fmt}'s
    std::string_view text;
};
template<class... Arguments>
using format_string = shim_string;

template<class... Arguments>
[[nodiscard]] std::string format(shim_string format, const Arguments&... arguments) {
    const shim_argument all[]{shim_make(arguments)..., false};
    return shim_format(format.text, all, sizeof...(arguments));
}

template<class... Arguments>
void print(std::FILE* file, shim_string text, const Arguments&... arguments) {
    const std::string all = format(text, arguments...);
    (void)std::fwrite(all.data(), 1, all.size(), file);
}

template<class... Arguments>
void print(shim_string text, const Arguments&... arguments) {
    print(stdout, text, arguments...);
}

template<class Number>
[[nodiscard]] std::string to_string(const Number& number) {
    return format("{}", number);
}

} // namespace fmt
