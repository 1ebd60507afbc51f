// SPDX-License-Identifier: MIT
#include "catch.hpp"

#include "program.hpp"

#include <cerrno>
#include <chrono>

using namespace vramswap;
using namespace vramswap::ctl;
using namespace std::chrono_literals;

namespace {

Result<std::string> output_of(const char* script, std::chrono::milliseconds limit) {
    return output_of_program({"sh", "-c", script}, limit);
}

} // namespace

TEST_CASE("a program's output is what it prints, all of it") {
    REQUIRE(output_of("echo one; echo two >&2; echo three", 1min) == "one\nthree\n");
    REQUIRE(output_of("head -c 300000 /dev/zero", 1min)->size() == 300000);
    REQUIRE(output_of("exec >&-; exit 0", 1min)->empty());
}

TEST_CASE("a program that fails or is not there has no output") {
    REQUIRE(output_of("echo one; exit 3", 1min).error().message == "sh failed (status 3)");
    REQUIRE(output_of("kill -KILL $$", 1min).error().message == "sh was killed by signal 9");
    REQUIRE(!output_of_program({"vramswap-no-such-program"}, 1min));
}

TEST_CASE("a program that hangs is not waited for, be its output closed or not") {
    for (const char* const script : {"exec sleep 100", "exec >&-; exec sleep 100"}) {
        const auto begin = std::chrono::steady_clock::now();
        const auto output = output_of(script, 50ms);
        REQUIRE(!output);
        REQUIRE(output.error().code == ETIMEDOUT);
        REQUIRE(std::chrono::steady_clock::now() - begin < 50s);
    }
}
