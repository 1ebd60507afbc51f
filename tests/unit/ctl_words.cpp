// SPDX-License-Identifier: MIT
#include "catch.hpp"

#include "words.hpp"

#include <cerrno>

using namespace vramswap;
using namespace vramswap::ctl;

namespace {

Event event_of(std::uint32_t kind, int reason = 0) {
    Event event{.kind = kind, .device = {}};
    event.device.reason = reason;
    event.device.name = "vramswap0";
    event.device.capacity = 4ULL << 30;
    event.device.label = "NVIDIA \x1b[1mH100";
    event.device.helper_pid = 42;
    event.device.hold_timeout_ms = 2500;
    return event;
}

} // namespace

TEST_CASE("every state, event and operation has a word") {
    for (std::uint32_t state = VRAMSWAP_STATE_EMPTY; state <= VRAMSWAP_STATE_FAILED; ++state)
        REQUIRE(state_word(state).find("state") == std::string::npos);
    for (std::uint32_t event = VRAMSWAP_EVENT_ATTACHED; event <= VRAMSWAP_EVENT_DELETED; ++event)
        REQUIRE(event_word(event).find("event") == std::string::npos);
    for (std::size_t op = 0; op < VRAMSWAP_STAT_OPS; ++op)
        REQUIRE(op_word(op) != std::string("?"));
}

TEST_CASE("numbers of a newer kernel are shown as they are") {
    REQUIRE(state_word(9) == "state 9");
    REQUIRE(event_word(99) == "event 99");
    REQUIRE(op_word(VRAMSWAP_STAT_OPS) == std::string("?"));
    REQUIRE(event_sentence(event_of(99)) == "something that this vramswapctl does not know");
}

TEST_CASE("an event says what happened, why, and what it means") {
    REQUIRE(event_sentence(event_of(VRAMSWAP_EVENT_LIVE)) == "serves 4G from NVIDIA ?[1mH100 (helper 42)");
    REQUIRE(event_sentence(event_of(VRAMSWAP_EVENT_HELD, EBADMSG)) ==
            "helper lost: it broke the ring's rules; requests wait at most 2.5s for one that still has the contents");
    REQUIRE(event_sentence(event_of(VRAMSWAP_EVENT_FAILED, ETIMEDOUT)) ==
            "contents lost: it was silent for too long, and no helper brought them back in time; requests fail from "
            "now on");
    REQUIRE(event_sentence(event_of(VRAMSWAP_EVENT_RESIZED)) == "now holds 4G");
}

TEST_CASE("a helper that outlives its service is named") {
    REQUIRE(survivor_sentence(event_of(VRAMSWAP_EVENT_LIVE).device) ==
            "swap is off and vramswap@0.service stopped, but vramswap0 is still live: its helper, process 42, was not "
            "started by systemd, and keeps its memory. To end it: kill 42");
}

TEST_CASE("the engine is known by what the helper calls its store") {
    REQUIRE(engine_word("").empty());
    REQUIRE(engine_word("host memory (memfd)") == "host");
    REQUIRE(engine_word("NVIDIA RTX A2000 (0000:01:00.0)") == "cuda");
}
