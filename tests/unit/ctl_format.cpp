// SPDX-License-Identifier: MIT
#include "catch.hpp"

#include "format.hpp"

#include <utility>
#include <vector>

using namespace vramswap::ctl;

TEST_CASE("sizes are in binary units with a decimal where it says something") {
    const std::vector<std::pair<std::uint64_t, std::string>> cases{
        {0, "0B"},          {512, "512B"},        {1023, "1023B"},      {1024, "1K"},       {1536, "1.5K"},
        {4096, "4K"},       {131072, "128K"},     {1048575, "1M"}, // rounds up into the next unit, never "1024K"
        {1073741824, "1G"}, {1181116006, "1.1G"}, {85899345920, "80G"}, {1ULL << 43, "8T"}, {UINT64_MAX, "16E"},
    };
    for (const auto& [bytes, text] : cases)
        REQUIRE(format_size(bytes) == text);
}

TEST_CASE("latencies have three digits and a unit") {
    const std::vector<std::pair<double, std::string>> cases{
        {0, "0ns"},        {7.4, "7ns"},       {999.4, "999ns"},    {999.6, "1.00us"}, {1234, "1.23us"},
        {9994, "9.99us"},  {9996, "10.0us"},   {12345, "12.3us"},   {99949, "99.9us"}, {99960, "100us"},
        {123456, "123us"}, {999600, "1.00ms"}, {1500000, "1.50ms"}, {48.1e9, "48.1s"}, {5000e9, "5000s"},
    };
    for (const auto& [ns, text] : cases)
        REQUIRE(format_latency(ns) == text);
    REQUIRE(format_latency(std::nullopt) == "-");
}

TEST_CASE("timeouts are in seconds") {
    REQUIRE(format_seconds(0) == "0s");
    REQUIRE(format_seconds(30000) == "30s");
    REQUIRE(format_seconds(2500) == "2.5s");
    REQUIRE(format_seconds(1) == "0.001s");
}

TEST_CASE("rates lose their decimal when they are large") {
    REQUIRE(format_rate(0) == "0.0");
    REQUIRE(format_rate(12.34) == "12.3");
    REQUIRE(format_rate(999.96) == "1000");
    REQUIRE(format_rate(24310.7) == "24311");
}

TEST_CASE("foreign text cannot steer the terminal") {
    const std::vector<std::pair<std::string, std::string>> cases{
        {"NVIDIA H100 80GB", "NVIDIA H100 80GB"},
        {"", ""},
        {"a\x1b[31mred", "a?[31mred"},
        {"two\nlines\ttab", "two?lines?tab"},
        {"\x7f", "?"},
        {"caf\xC3\xA9", "caf\xC3\xA9"},
        {"\xC2\x9B[A", "?"
                       "?[A"}, // a C1 control in UTF-8: the terminal would take it for an escape
        {"\xC3", "?"},         // cut short
        {"\xFFx", "?x"},
        {"\xE2\x82\xAC", "\xE2\x82\xAC"},
    };
    for (const auto& [text, clean] : cases)
        REQUIRE(printable(text) == clean);
}

TEST_CASE("width counts characters, not bytes") {
    REQUIRE(display_width("caf\xC3\xA9") == 4);
    REQUIRE(cut_to_width("caf\xC3\xA9s", 4) == "caf…");
    REQUIRE(cut_to_width("caf\xC3\xA9 au lait", 5) == "caf\xC3\xA9…");
    REQUIRE(cut_to_width("cafe", 1) == "…");
    REQUIRE(cut_to_width("caf\xC3\xA9", 4) == "caf\xC3\xA9");
    REQUIRE(cut_to_width("cafe", 10) == "cafe");
    REQUIRE(cut_to_width("cafe", 0).empty());
}
