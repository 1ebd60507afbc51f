// SPDX-License-Identifier: MIT
#include "size_rule.hpp"

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cmath>

#include "size.hpp"

namespace vramswap {
namespace {

// Exact for all whole numbers below 2^64 where a long double has 64 bits of precision or more, as on x86 and arm64.
constexpr long double too_much = 18446744073709551616.0L; // 2^64

bool is_digit(char c) {
    return std::isdigit(static_cast<unsigned char>(c)) != 0;
}

bool is_letter(char c) {
    return std::isalpha(static_cast<unsigned char>(c)) != 0;
}

} // namespace

/// Recursive descent, one function for each level of the grammar:
///
///     sum     = product { ("+" | "-") product }
///     product = atom { ("*" | "/") atom }
///     atom    = number [unit | "%"] | "vram" | "ram" | ("min" | "max") list | "(" sum ")"
///     list    = "(" sum { "," sum } ")"
class SizeRule::Parser {
public:
    Parser(std::string_view text, std::vector<Step>& steps) : text_(text), steps_(steps) {}

    Result<void> all() {
        if (auto read = sum(); !read)
            return read;
        return at_end() ? Result<void>() : expected("+, -, * or /");
    }

private:
    using Kind = Step::Kind;

    void skip_blanks() { at_ = std::min(text_.find_first_not_of(" \t", at_), text_.size()); }
    bool at_end() {
        skip_blanks();
        return at_ == text_.size();
    }
    bool take(char wanted) {
        if (at_end() || text_[at_] != wanted)
            return false;
        ++at_;
        return true;
    }
    void emit(Kind kind, long double number = 0) { steps_.push_back({.kind = kind, .number = number}); }

    Result<void> expected(std::string_view what) {
        if (at_end())
            return fail(EINVAL, "'{}' is no size: {} is missing at its end", text_, what);
        return fail(EINVAL, "'{}' is no size: {} is missing before '{}'", text_, what, text_.substr(at_));
    }

    std::string_view word() {
        const std::size_t start = at_;
        while (at_ < text_.size() && is_letter(text_[at_]))
            ++at_;
        return text_.substr(start, at_ - start);
    }

    Result<void> number() {
        long double value = 0;
        for (; at_ < text_.size() && is_digit(text_[at_]); ++at_)
            value = value * 10 + (text_[at_] - '0');
        if (at_ < text_.size() && text_[at_] == '.') {
            long double part = 1;
            for (++at_; at_ < text_.size() && is_digit(text_[at_]); ++at_)
                value += (text_[at_] - '0') * (part /= 10);
        }
        if (at_ < text_.size() && text_[at_] == '%') {
            ++at_;
            emit(Kind::number, value / 100);
            emit(Kind::vram);
            emit(Kind::multiply);
            return {};
        }
        const std::size_t start = at_;
        const auto shift = size_suffix_shift(word());
        if (!shift) {
            at_ = start;
            return expected("K, M, G, T or %");
        }
        emit(Kind::number, std::ldexp(value, static_cast<int>(*shift)));
        return {};
    }

    Result<void> list(Kind kind) {
        if (!take('('))
            return expected("(");
        if (auto read = sum(); !read)
            return read;
        while (take(',')) {
            if (auto read = sum(); !read)
                return read;
            emit(kind);
        }
        return take(')') ? Result<void>() : expected(", or )");
    }

    Result<void> name() {
        const std::size_t start = at_;
        const std::string_view name = word();
        if (name == "vram" || name == "ram") {
            emit(name == "vram" ? Kind::vram : Kind::ram);
            return {};
        }
        if (name == "min" || name == "max")
            return list(name == "min" ? Kind::least : Kind::most);
        at_ = start;
        return expected("a number, vram, ram, min, max or (");
    }

    Result<void> atom() {
        if (at_end())
            return expected("a number, vram, ram, min, max or (");
        if (is_digit(text_[at_]))
            return number();
        if (!take('('))
            return name();
        if (auto read = sum(); !read)
            return read;
        return take(')') ? Result<void>() : expected(")");
    }

    Result<void> product() {
        auto read = atom();
        while (read && !at_end() && (text_[at_] == '*' || text_[at_] == '/')) {
            const Kind kind = text_[at_++] == '*' ? Kind::multiply : Kind::divide;
            read = atom();
            emit(kind);
        }
        return read;
    }

    Result<void> sum() {
        if (++depth_ > max_depth)
            return fail(EINVAL, "'{}' is no size: it is nested too deeply", text_);
        auto read = product();
        while (read && !at_end() && (text_[at_] == '+' || text_[at_] == '-')) {
            const Kind kind = text_[at_++] == '+' ? Kind::add : Kind::subtract;
            read = product();
            emit(kind);
        }
        --depth_;
        return read;
    }

    std::string_view text_;
    std::vector<Step>& steps_;
    std::size_t at_ = 0;
    unsigned depth_ = 0;
};

Result<SizeRule> SizeRule::parse(std::string_view text) {
    if (text.size() > max_text)
        return fail(EINVAL, "a size is longer than {} characters", max_text);
    SizeRule rule;
    rule.text_ = text;
    if (auto read = Parser(text, rule.steps_).all(); !read)
        return pass_on(read);
    return rule;
}

SizeRule SizeRule::of(std::uint64_t bytes) {
    SizeRule rule;
    rule.text_ = fmt::to_string(bytes);
    rule.steps_.push_back({.kind = Step::Kind::number, .number = static_cast<long double>(bytes)});
    return rule;
}

Result<long double> SizeRule::calculate(const MemorySizes& sizes) const {
    std::vector<long double> stack;
    const auto two = [&stack](auto operation) {
        const long double right = stack.back();
        stack.pop_back();
        stack.back() = operation(stack.back(), right);
    };
    using Kind = Step::Kind;
    for (const Step& step : steps_) {
        if (step.kind == Kind::vram && !sizes.vram)
            return fail(ENODEV, "'{}' speaks of a GPU's memory, but the bytes go to host memory", text_);
        if (step.kind == Kind::divide && stack.back() == 0)
            return fail(EINVAL, "'{}' divides by zero", text_);
        switch (step.kind) {
        case Kind::number:
            stack.push_back(step.number);
            break;
        case Kind::vram:
            stack.push_back(static_cast<long double>(sizes.vram.value_or(0)));
            break;
        case Kind::ram:
            stack.push_back(static_cast<long double>(sizes.ram));
            break;
        case Kind::add:
            two([](auto a, auto b) { return a + b; });
            break;
        case Kind::subtract:
            two([](auto a, auto b) { return a - b; });
            break;
        case Kind::multiply:
            two([](auto a, auto b) { return a * b; });
            break;
        case Kind::divide:
            two([](auto a, auto b) { return a / b; });
            break;
        case Kind::least:
            two([](auto a, auto b) { return std::min(a, b); });
            break;
        case Kind::most:
            two([](auto a, auto b) { return std::max(a, b); });
            break;
        }
    }
    return stack.back();
}

Result<std::uint64_t> SizeRule::bytes(const MemorySizes& sizes) const {
    const auto value = calculate(sizes);
    if (!value)
        return std::unexpected(value.error());
    if (*value < 0)
        return fail(EINVAL, "'{}' is less than nothing here", text_);
    if (!(*value < too_much)) // not a number, too
        return fail(EINVAL, "'{}' is more than a device can hold", text_);
    return static_cast<std::uint64_t>(*value);
}

bool SizeRule::constant() const {
    return std::ranges::none_of(
        steps_, [](const Step& step) { return step.kind == Step::Kind::vram || step.kind == Step::Kind::ram; });
}

} // namespace vramswap
