// SPDX-License-Identifier: MIT
// kmod/ring.h and helper/ring.hpp against each other.
#include "catch.hpp"

#include "ring_scenarios.hpp"
#include "ring_world.hpp"

using namespace vramswap::test;

namespace {

constexpr std::uint64_t traffic_rounds = 500'000 / slowdown;

// Somewhat before both counters wrap, so that they do so in full swing.
Shape wrapping_soon() {
    return {.slots = 13,
            .slot_size = 4 * 4096,
            .first_index = 0U - static_cast<std::uint32_t>(traffic_rounds / 2),
            .first_generation = 0x7fffffffU - static_cast<std::uint32_t>(traffic_rounds / 50)};
}

} // namespace

TEST_CASE("ring: a read returns what was last written, byte for byte", "[ring]") {
    SECTION("one submitter") {
        CHECK(traffic({.submitters = 1, .operations = 2 * traffic_rounds}) == "");
    }
    SECTION("two submitters") {
        CHECK(traffic({.submitters = 2, .operations = traffic_rounds}) == "");
    }
    SECTION("a reaper besides the helper") {
        CHECK(traffic({.submitters = 1, .operations = traffic_rounds / 2, .reaper = true}) == "");
    }
    SECTION("more requests than slots") {
        CHECK(traffic({.shape = {.slots = 4, .slot_size = 4096}, .depth = 12, .operations = traffic_rounds / 2}) == "");
    }
    SECTION("as many slots as a tag word has bits and some more") {
        CHECK(traffic({.shape = {.slots = 70, .slot_size = 4096}, .depth = 70, .operations = traffic_rounds / 2}) ==
              "");
    }
    SECTION("while tails and generations wrap around") {
        CHECK(traffic({.shape = wrapping_soon(), .submitters = 2, .operations = traffic_rounds / 2}) == "");
    }
}

TEST_CASE("ring: tails and generations wrap around without a step missing", "[ring]") {
    CHECK(wrapping() == "");
}

TEST_CASE("ring: a CQE that is not the right answer to an SQE under way ends the session", "[ring]") {
    CHECK(refusals() == "");
}

TEST_CASE("ring: a forged CQE that comes before its SQE finds a whole request", "[ring]") {
    CHECK(early_forgery(20'000 / slowdown) == "");
}

TEST_CASE("ring: no wake-up is lost, and a sleep costs one at most", "[ring]") {
    SECTION("one submitter, next request at once") {
        CHECK(wakeups({.submitters = 1, .rounds = 1'000'000 / slowdown, .longest_delay = 0}) == "");
    }
    SECTION("one submitter, next request as the helper falls asleep") {
        CHECK(wakeups({.submitters = 1, .rounds = 200'000 / slowdown, .longest_delay = 2'000}) == "");
    }
    SECTION("two submitters") {
        CHECK(wakeups({.submitters = 2, .rounds = 200'000 / slowdown, .longest_delay = 200}) == "");
    }
    SECTION("submitter and sleeper at the same moment") {
        CHECK(crossings(2'000'000 / slowdown) == "");
    }
    SECTION("submitters that wait awake, for longer or shorter than it takes") {
        CHECK(wakeups({.submitters = 2, .rounds = 200'000 / slowdown, .longest_delay = 200, .spin = 1000}) == "");
    }
    SECTION("several doorbells for one sleep") {
        CHECK(doorbells() == "");
    }
}

TEST_CASE("ring: an idle helper sleeps", "[ring]") {
    CHECK(idleness(std::chrono::milliseconds(200)) == "");
}

TEST_CASE("ring: no CQE is left that the helper believes a waiting submitter to take, and he the helper", "[ring]") {
    CHECK(handovers(2'000'000 / slowdown) == "");
}
