// SPDX-License-Identifier: MIT
// bench/gpu/fmt_shim says the same as {fmt}, in all that this project asks of it.
#include "catch.hpp"

#include <cstdint>
#include <string>

#include <fmt/format.h>

#define fmt fmt_shim
#include "bench/gpu/fmt_shim/fmt/format.h"
#undef fmt

namespace {

template<class... Arguments>
void same(const char* format, const Arguments&... arguments) {
    const std::string expected = fmt::format(fmt::runtime(format), arguments...);
    CHECK(fmt_shim::format(format, arguments...) == expected);
}

TEST_CASE("the stand-in for fmt writes what fmt writes") {
    const std::string text = "text";
    same("plain, {{braces}} and }}");
    same("{}{}", text, "more");
    same("{} {} {} {}", -1, 2U, std::int64_t{-1} << 40, UINT64_MAX);
    same("{} {} {}", true, 'c', std::string_view("view"));
    same("{} {}", static_cast<unsigned char>(200), static_cast<short>(-3));
    same("{:02x} {:x} {:02x}", 7, 255U, static_cast<unsigned char>(10));
    same("{:5} {:05} {:05}", 42, 42, -42);
    same("[{:6}]", text);
    same("{:.0f} {:.1f} {:.2f} {:.5f} {:f}", 2.5, -0.25, 1e15, 0.0, 1.5);
    same("{:8.1f} {} {} {}", 3.14159, 0.5, 1e100, 3.0);
    CHECK(fmt_shim::to_string(12345678901U) == "12345678901");
}

TEST_CASE("the stand-in for fmt refuses what it does not know") {
    CHECK_THROWS(fmt_shim::format("{:>5}", 1));
    CHECK_THROWS(fmt_shim::format("{:e}", 1.0));
    CHECK_THROWS(fmt_shim::format("{0}", 1));
    CHECK_THROWS(fmt_shim::format("{} {}", 1));
    CHECK_THROWS(fmt_shim::format("{", 1));
}

} // namespace
