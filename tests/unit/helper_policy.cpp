// SPDX-License-Identifier: MIT
#include "catch.hpp"

#include <cerrno>
#include <limits>
#include <vector>

#include <helper/policy.hpp>

#include "vramswap.h"

using namespace vramswap;
using namespace std::chrono_literals;
using std::chrono::nanoseconds;

TEST_CASE("capacity is whole blocks within the kernel's bounds") {
    struct Row {
        std::uint64_t size;
        std::optional<std::uint64_t> expected;
    };
    const std::vector<Row> rows{
        {0, std::nullopt},
        {1, std::nullopt},
        {VRAMSWAP_MIN_CAPACITY - 1, std::nullopt},
        {VRAMSWAP_MIN_CAPACITY, VRAMSWAP_MIN_CAPACITY},
        {VRAMSWAP_MIN_CAPACITY + 1, VRAMSWAP_MIN_CAPACITY},
        {VRAMSWAP_MIN_CAPACITY + 4095, VRAMSWAP_MIN_CAPACITY},
        {VRAMSWAP_MIN_CAPACITY + 4096, VRAMSWAP_MIN_CAPACITY + 4096},
        {1ULL << 32, 1ULL << 32},
        {VRAMSWAP_MAX_CAPACITY, VRAMSWAP_MAX_CAPACITY},
        {VRAMSWAP_MAX_CAPACITY + 4095, VRAMSWAP_MAX_CAPACITY},
        {VRAMSWAP_MAX_CAPACITY + 4096, std::nullopt},
        {std::numeric_limits<std::uint64_t>::max(), std::nullopt},
    };
    for (const Row& row : rows) {
        const auto capacity = capacity_of(row.size);
        REQUIRE(capacity.has_value() == row.expected.has_value());
        if (row.expected)
            REQUIRE(*capacity == *row.expected);
        else
            REQUIRE(capacity.error().message.find("the size is") != std::string::npos);
    }
}

TEST_CASE("the configuration's size and headroom decide the capacity") {
    constexpr std::uint64_t mib = 1ULL << 20;
    constexpr std::uint64_t gib = 1ULL << 30;
    struct Row {
        const char* size;
        const char* headroom;
        std::optional<std::uint64_t> vram;
        std::uint64_t free;
        std::uint64_t expected; ///< 0: refused
    };
    const std::vector<Row> rows{
        {"", "", 24 * gib, 23 * gib, 20615843020 / 4096 * 4096}, // 0.8 of it
        {"", "", 8 * gib, 8 * gib, 6 * gib},                     // all but 2 GiB
        {"", "", 8 * gib, 5 * gib, 4608 * mib},                  // others have 3 GiB: 512 MiB stay free
        {"", "", 8 * gib, 512 * mib, 0},                         // nothing is left
        {"", "", 2 * gib, 2 * gib, 0},                           // too small to choose for its owner
        {"", "1G", 8 * gib, 5 * gib, 4 * gib},
        {"", "", std::nullopt, 0, 0}, // without a GPU the user chooses
        {"4G", "", std::nullopt, 0, 4 * gib},
        {"4G", "1G", std::nullopt, 0, 4 * gib}, // headroom is of VRAM
        {"4G", "", 8 * gib, gib, 4 * gib},      // as it was asked for; the engine says that it is too much
        {"4G", "0", 8 * gib, gib, gib},         // or it gets smaller
        {"4G", "512M", 8 * gib, gib, 512 * mib},
        {"4G", "10%", 8 * gib, 8 * gib, 4 * gib},
        {"4G", "2G", 8 * gib, gib, 0},
        {"50%", "", 8 * gib, 8 * gib, 4 * gib},
        {"50%", "", std::nullopt, 0, 0},
        {"ram / 2", "", std::nullopt, 0, 8 * gib},
        {"100G - 100G", "", 8 * gib, 8 * gib, 0},
    };
    for (const Row& row : rows) {
        INFO("size " << row.size << " headroom " << row.headroom << " free " << row.free);
        Config config;
        if (*row.size != 0)
            config.size = SizeRule::parse(row.size).value();
        if (*row.headroom != 0)
            config.headroom = SizeRule::parse(row.headroom).value();
        const auto capacity = policy::capacity(config, {.vram = row.vram, .ram = 16 * gib}, row.free);
        REQUIRE(capacity.value_or(0) == row.expected);
        REQUIRE((capacity || !capacity.error().message.empty()));
    }
    REQUIRE(policy::capacity({}, {}, 0).error().message.find("--size") != std::string::npos);
}

TEST_CASE("with one CPU the helper never spins") {
    policy::Spin spin(100us, 1);
    REQUIRE(spin.budget() == 0ns);
    for (int i = 0; i < 100; ++i) {
        spin.slept(0ns);
        spin.met_work();
    }
    REQUIRE(spin.budget() == 0ns);
}

TEST_CASE("a spin limit of zero means never") {
    policy::Spin spin(0us, 8);
    for (int i = 0; i < 100; ++i) {
        spin.slept(0ns);
        spin.met_work();
    }
    REQUIRE(spin.budget() == 0ns);
}

TEST_CASE("spinning stops after a few looks that found nothing") {
    policy::Spin spin(100us, 2);
    REQUIRE(spin.budget() == 100us);
    nanoseconds last = spin.budget();
    int looks = 0;
    for (; spin.budget() != 0ns; ++looks) {
        spin.slept(10ms);
        REQUIRE(spin.budget() < last);
        last = spin.budget();
    }
    REQUIRE(looks <= 6);
    for (int i = 0; i < 10; ++i)
        spin.slept(1s);
    REQUIRE(spin.budget() == 0ns);
}

TEST_CASE("spinning comes back when work follows sleep closely") {
    policy::Spin spin(100us, 2);
    while (spin.budget() != 0ns)
        spin.slept(1s);
    spin.slept(60us); // of which about 50 are falling asleep and waking up
    REQUIRE(spin.budget() > 0ns);
    for (int i = 0; i < 5; ++i)
        spin.met_work();
    REQUIRE(spin.budget() == 100us);
}

TEST_CASE("looks that met work pay for a few that do not") {
    policy::Spin spin(100us, 2);
    for (int i = 0; i < 16; ++i)
        spin.met_work();
    for (int i = 0; i < 8; ++i) {
        spin.slept(1s); // a disturbance
        REQUIRE(spin.budget() == 100us);
    }
    spin.slept(1s);
    REQUIRE(spin.budget() < 100us);
    for (int i = 0; i < 1000; ++i)
        spin.met_work();
    int looks = 0;
    for (; spin.budget() != 0ns; ++looks)
        spin.slept(1s);
    REQUIRE(looks <= 16 + 6); // after any rush: less than two milliseconds of looks in vain
}

TEST_CASE("work that keeps being there is looked for again, however long a sleep takes") {
    policy::Spin spin(100us, 2);
    while (spin.budget() != 0ns)
        spin.slept(1s);
    for (int i = 0; i < 6; ++i)
        spin.met_work();
    REQUIRE(spin.budget() == 100us);
}

TEST_CASE("after one sleep that was too short the next look is a whole one") {
    policy::Spin spin(100us, 2);
    while (spin.budget() != 0ns)
        spin.slept(1s);
    spin.slept(140us);
    REQUIRE(spin.budget() == 100us);
    spin.slept(140us); // that look has not met it after all
    REQUIRE(spin.budget() < 100us);
}

TEST_CASE("work that keeps coming just too late for the longest look is not waited for") {
    policy::Spin spin(100us, 2);
    for (int i = 0; i < 20; ++i)
        spin.slept(200us);
    REQUIRE(spin.budget() == 0ns);
}

TEST_CASE("the helper looks by itself only as long as looking meets work, and then for a moment") {
    policy::Spin spin(100us, 2);
    REQUIRE(spin.before_enter() == 0ns);
    spin.met_work();
    REQUIRE(spin.before_enter() > 0ns);
    REQUIRE(spin.before_enter() <= 20us);
    int asked = 0;
    for (int i = 0; i < 64; ++i, spin.met_work())
        asked += spin.before_enter() == 0ns ? 1 : 0;
    REQUIRE(asked >= 2);
    REQUIRE(asked <= 8);
    spin.slept(0ns); // somebody else wanted the processor
    REQUIRE(spin.budget() == 100us);
    REQUIRE(spin.before_enter() == 0ns);
    policy::Spin little(5us, 2);
    little.met_work();
    REQUIRE(little.before_enter() <= little.budget());
}

TEST_CASE("the spin budget never exceeds its limit") {
    policy::Spin spin(100us, 2);
    for (int i = 0; i < 100; ++i) {
        spin.met_work();
        REQUIRE(spin.budget() <= 100us);
        spin.slept(0ns);
        REQUIRE(spin.budget() <= 100us);
    }
}

TEST_CASE("polling backs off from pauses to sleeps and asks the session now and then") {
    for (const unsigned cpus : {1U, 2U, 64U}) {
        bool asked = false;
        unsigned slept = 0;
        for (unsigned fruitless = 0; fruitless < 10000; ++fruitless) {
            const auto delay = policy::poll_delay(fruitless, cpus);
            REQUIRE((delay.pauses != 0) != (delay.sleep.count() != 0));
            REQUIRE(delay.sleep <= 1ms);
            REQUIRE(delay.pauses <= 32);
            slept += delay.sleep.count() != 0 ? 1U : 0U;
            asked = asked || delay.ask_session;
            if (slept != 0)
                REQUIRE(delay.sleep.count() != 0);
            else
                REQUIRE(!delay.ask_session);
        }
        REQUIRE(asked);
        REQUIRE(slept >= 8000);
    }
    REQUIRE(policy::poll_delay(16, 1).sleep.count() != 0);
    REQUIRE(policy::poll_delay(16, 2).pauses != 0);
}

TEST_CASE("resume, begin anew or refuse, by what the predecessor left") {
    using policy::Start;
    const policy::Inheritance memfd{
        .record_found = true, .record_read = true, .record_valid = true, .memory_found = true};
    const policy::Inheritance path{
        .record_found = true, .record_read = true, .record_valid = true, .store = "/dev/dax0.0"};
    const Config plain{.size = SizeRule::of(1ULL << 30)};
    const Config no_size{};
    const Config host{.engine = EngineChoice::host};
    const Config dax{.store = "/dev/dax0.0"};
    const Config other{.store = "/dev/dax1.0"};
    const Config cuda{.engine = EngineChoice::cuda, .gpu = "1"};
    const policy::Inheritance vram{.record_found = true,
                                   .record_read = true,
                                   .record_valid = true,
                                   .engine = EngineChoice::cuda,
                                   .store = "GPU-fafafafa",
                                   .memory_found = true};
    policy::Inheritance no_vram = vram;
    no_vram.memory_found = false;
    struct Row {
        const char* what;
        Config wanted;
        policy::Inheritance left;
        Start expected;
        bool remarkable;
    };
    policy::Inheritance invalid = memfd;
    invalid.record_valid = false;
    policy::Inheritance no_store = memfd;
    no_store.memory_found = false;
    policy::Inheritance unknown = memfd;
    unknown.record_read = false;
    unknown.record_valid = false;
    const Config elsewhere{.device = 1};
    policy::Inheritance only_store{.memory_found = true};
    const std::vector<Row> rows{
        {"nothing left", plain, {}, Start::fresh, false},
        {"a store without a record", plain, only_store, Start::fresh, false},
        {"a withdrawn record", plain, invalid, Start::fresh, true},
        {"a record of another version", plain, unknown, Start::refuse, true},
        {"contents of another device", elsewhere, memfd, Start::refuse, true},
        {"a record whose memory is gone", plain, no_store, Start::fresh, true},
        {"all there", plain, memfd, Start::resume, false},
        {"all there, no size given", no_size, memfd, Start::resume, false},
        {"all there, engine named", host, memfd, Start::resume, false},
        {"a path, the same again", dax, path, Start::resume, false},
        {"a path, another now", other, path, Start::refuse, true},
        {"a path, a memfd now", plain, path, Start::refuse, true},
        {"a memfd, a path now", dax, memfd, Start::refuse, true},
        {"a GPU", plain, vram, Start::resume, false},
        {"a GPU, named again", cuda, vram, Start::resume, false},
        {"a GPU, host memory now", host, vram, Start::refuse, true},
        {"host memory, a GPU now", cuda, memfd, Start::refuse, true},
        {"a GPU whose memory was not kept", plain, no_vram, Start::fresh, true},
    };
    for (const Row& row : rows) {
        INFO(row.what);
        const auto decision = policy::start(row.wanted, row.left);
        REQUIRE(decision.start == row.expected);
        REQUIRE(decision.why.empty() == !row.remarkable);
    }
}

TEST_CASE("VRAM is taken in chunks that a service manager can keep") {
    constexpr std::uint64_t mib = 1ULL << 20;
    constexpr std::uint64_t gib = 1ULL << 30;
    struct Row {
        std::uint64_t bytes;
        policy::Chunks expected;
    };
    for (const Row& row : {
             Row{1, {.size = 64 * mib, .last = 2 * mib, .count = 1}},
             Row{2 * mib, {.size = 64 * mib, .last = 2 * mib, .count = 1}},
             Row{2 * mib + 1, {.size = 64 * mib, .last = 4 * mib, .count = 1}},
             Row{64 * mib, {.size = 64 * mib, .last = 64 * mib, .count = 1}},
             Row{64 * mib + 1, {.size = 64 * mib, .last = 2 * mib, .count = 2}},
             Row{12 * gib, {.size = 64 * mib, .last = 64 * mib, .count = 192}},
             Row{12 * gib + 1, {.size = 128 * mib, .last = 2 * mib, .count = 97}},
             Row{80 * gib, {.size = 512 * mib, .last = 512 * mib, .count = 160}},
         })
        REQUIRE(policy::chunks(row.bytes, 2 * mib) == row.expected);
    for (std::uint64_t bytes = 4096; bytes <= VRAMSWAP_MAX_CAPACITY; bytes = bytes * 3 / 2 + 4096) {
        const auto chunks = policy::chunks(bytes, 2 * mib);
        REQUIRE(chunks.count >= 1);
        REQUIRE(chunks.count <= policy::max_chunks);
        REQUIRE(chunks.last <= chunks.size);
        REQUIRE(chunks.last % (2 * mib) == 0);
        REQUIRE((chunks.count - 1) * chunks.size + chunks.last >= bytes);
        REQUIRE((chunks.count - 1) * chunks.size < bytes);
    }
}

TEST_CASE("what follows the end of a session") {
    using policy::After;
    using policy::EndCause;
    struct Row {
        EndCause cause;
        int code;
        After expected;
    };
    const std::vector<Row> rows{
        {EndCause::asked, 0, After::leave},
        {EndCause::kernel, ESHUTDOWN, After::leave},
        {EndCause::kernel, ENODEV, After::leave},
        {EndCause::kernel, ETIMEDOUT, After::attach_again},
        {EndCause::kernel, EBADMSG, After::leave_failed},
        {EndCause::kernel, ESTALE, After::leave_failed},
        {EndCause::kernel, ENOTCONN, After::leave_failed},
        {EndCause::kernel, EINVAL, After::leave_failed},
        {EndCause::kernel, EDEADLK, After::leave_failed},
        {EndCause::engine, 0, After::leave_failed},
        {EndCause::ring, 0, After::leave_failed},
    };
    for (const Row& row : rows)
        REQUIRE(policy::after_session(row.cause, row.code) == row.expected);
}
