// SPDX-License-Identifier: MIT
#include "catch.hpp"

#include <cerrno>
#include <limits>
#include <string>
#include <vector>

#include <helper/size_rule.hpp>

using namespace vramswap;

namespace {

constexpr std::uint64_t mib = 1ULL << 20;
constexpr std::uint64_t gib = 1ULL << 30;

/// A GPU of 8 GiB in a machine of 32 GiB.
constexpr MemorySizes usual{.vram = 8 * gib, .ram = 32 * gib};

Result<std::uint64_t> bytes_of(const std::string& text, const MemorySizes& sizes = usual) {
    const auto rule = SizeRule::parse(text);
    if (!rule)
        return std::unexpected(rule.error());
    return rule->bytes(sizes);
}

} // namespace

TEST_CASE("size rules come to bytes") {
    struct Row {
        const char* text;
        std::uint64_t bytes;
    };
    const std::vector<Row> rows{
        {"0", 0},
        {"4096", 4096},
        {"1k", 1024},
        {"512M", 512 * mib},
        {" 4G ", 4 * gib},
        {"4GiB", 4 * gib},
        {"1.5G", 1536 * mib},
        {"8T", 8192 * gib},
        {"18446744073709551615", std::numeric_limits<std::uint64_t>::max()},
        {"vram", 8 * gib},
        {"ram", 32 * gib},
        {"80%", 6871947673}, // rounded down
        {"50%", 4 * gib},
        {"100%", 8 * gib},
        {"vram - 2G", 6 * gib},
        {"vram-2G", 6 * gib},
        {"0.5 * vram", 4 * gib},
        {"vram / 4", 2 * gib},
        {"min(vram - 2G, 0.5 * vram)", 4 * gib},
        {"max(vram - 2G, 0.5 * vram)", 6 * gib},
        {"min(7G)", 7 * gib},
        {"min(5G, 4G, 3G)", 3 * gib},
        {"max(1G, min(50%, ram / 16), 512M)", 2 * gib},
        {"10G - 4G - 3G", 3 * gib},  // from the left
        {"16G / 4 / 2", 2 * gib},    // too
        {"1G + 2 * 1G", 3 * gib},    // products first
        {"(1G + 2G) * 2", 6 * gib},  // but for parentheses
        {"1G - 2G + 3G", 2 * gib},   // on the way it may be less than nothing
        {"((((((((1G))))))))", gib}, // deep, but not too deep
        {"4097 / 2", 2048},          // rounded down
    };
    for (const Row& row : rows) {
        INFO(row.text);
        const auto bytes = bytes_of(row.text);
        REQUIRE(bytes.has_value());
        REQUIRE(*bytes == row.bytes);
    }
}

TEST_CASE("what is no size rule is refused, with what was expected where") {
    struct Row {
        std::string text;
        const char* words;
    };
    const std::vector<Row> rows{
        {"", "at its end"},
        {"   ", "at its end"},
        {"four", "before 'four'"},
        {"-1", "before '-1'"},
        {"+1", "before '+1'"},
        {".5", "before '.5'"},
        {"1,5G", "before ',5G'"},
        {"1GB", "before 'GB'"},
        {"12potatoes", "before 'potatoes'"},
        {"4 G", "before 'G'"},
        {"4G 5G", "before '5G'"},
        {"1..5", "before '.5'"},
        {"100 % 2", "before '% 2'"},
        {"vram -", "at its end"},
        {"vram - * 2", "before '* 2'"},
        {"vram2", "before '2'"},
        {"VRAM", "before 'VRAM'"},
        {"free", "before 'free'"},
        {"min", "( is missing"},
        {"min()", "before ')'"},
        {"min(1G", ", or ) is missing"},
        {"min(1G,)", "before ')'"},
        {"(1G", ") is missing"},
        {"1G)", "before ')'"},
        {"2 ** 3", "before '* 3'"},
        {"1G;2G", "before ';2G'"},
        {std::string(17, '(') + "1" + std::string(17, ')'), "nested too deeply"},
        {std::string(SizeRule::max_text + 1, '1'), "longer than"},
        {std::string("1\0G", 3), "before"},
    };
    for (const Row& row : rows) {
        INFO(row.text);
        const auto rule = SizeRule::parse(row.text);
        REQUIRE(!rule.has_value());
        REQUIRE(rule.error().code == EINVAL);
        INFO(rule.error().message);
        REQUIRE(rule.error().message.find(row.words) != std::string::npos);
    }
}

TEST_CASE("what comes to no size is refused") {
    struct Row {
        std::string text;
        MemorySizes sizes;
        int code;
        const char* words;
    };
    const MemorySizes small{.vram = gib, .ram = gib};
    const MemorySizes none{.ram = gib};
    const std::vector<Row> rows{
        {"1G / 0", usual, EINVAL, "divides by zero"},
        {"1G / (vram - vram)", usual, EINVAL, "divides by zero"},
        {"vram - 2G", small, EINVAL, "less than nothing"},
        {"18446744073709551616", usual, EINVAL, "more than a device can hold"},
        {"16777216T", usual, EINVAL, "more than a device can hold"},
        {"16777215T * 1000", usual, EINVAL, "more than a device can hold"},
        {std::string(200, '9') + "T", usual, EINVAL, "more than a device can hold"},
        {"vram", none, ENODEV, "speaks of a GPU's memory"},
        {"80%", none, ENODEV, "speaks of a GPU's memory"},
        {"min(1G, vram)", none, ENODEV, "speaks of a GPU's memory"},
    };
    for (const Row& row : rows) {
        INFO(row.text);
        const auto bytes = bytes_of(row.text, row.sizes);
        REQUIRE(!bytes.has_value());
        REQUIRE(bytes.error().code == row.code);
        INFO(bytes.error().message);
        REQUIRE(bytes.error().message.find(row.words) != std::string::npos);
    }
}

TEST_CASE("a rule knows whether it is the same everywhere") {
    for (const char* const text : {"4G", "2 * 4G", "min(1G, 2G)"})
        REQUIRE(SizeRule::parse(text)->constant());
    for (const char* const text : {"vram", "80%", "ram / 2", "min(1G, vram)"})
        REQUIRE(!SizeRule::parse(text)->constant());
}
