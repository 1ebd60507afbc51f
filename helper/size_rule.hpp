// SPDX-License-Identifier: MIT
// How much to store, as users write it: "4G", "80%", "min(vram - 2G, 0.8 * vram)".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "error.hpp"

namespace vramswap {

/// What a rule may speak of, bytes.
struct MemorySizes {
    std::optional<std::uint64_t> vram; ///< all memory of the GPU; none where there is no GPU
    std::uint64_t ram = 0;             ///< all memory of the machine
};

/// An expression: numbers (with K, M, G or T for powers of 1024, or % of VRAM), vram, ram, + - * /, parentheses,
/// min(...) and max(...). Compiled once, so that its mistakes are found before the memory's sizes are known.
class SizeRule {
public:
    /// The longest text and the deepest nesting that are read.
    static constexpr std::size_t max_text = 256;
    static constexpr unsigned max_depth = 16;

    /// Errors (EINVAL) quote the text, and say what was expected where.
    [[nodiscard]] static Result<SizeRule> parse(std::string_view text);

    /// So many bytes, everywhere.
    [[nodiscard]] static SizeRule of(std::uint64_t bytes);

    /// Whole bytes, rounded down. Errors: a division by zero, less than nothing, 2^64 or more (EINVAL), and ENODEV for
    /// a rule that speaks of VRAM where there is none.
    [[nodiscard]] Result<std::uint64_t> bytes(const MemorySizes& sizes) const;

    /// Does it come to the same on every machine?
    [[nodiscard]] bool constant() const;

    [[nodiscard]] const std::string& text() const { return text_; }

private:
    /// One step of a calculator with a stack.
    struct Step {
        enum class Kind : std::uint8_t { number, vram, ram, add, subtract, multiply, divide, least, most };
        Kind kind;
        long double number = 0; ///< of Kind::number
    };
    class Parser;

    [[nodiscard]] Result<long double> calculate(const MemorySizes& sizes) const;

    std::string text_;
    std::vector<Step> steps_;
};

} // namespace vramswap
