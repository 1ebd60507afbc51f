// SPDX-License-Identifier: MIT
#include "ring_scenarios.hpp"
#include "ring_world.hpp"

#include <helper/ring.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <initializer_list>
#include <thread>

namespace vramswap::test {

namespace {

constexpr unsigned slots = 6; // of 8 ring entries: a CQ can hold more than there are slots
constexpr std::uint32_t entries = 8;
constexpr std::uint32_t first_generation = 100;

// A session in one thread's hands, which plays both sides.
class Table {
public:
    Table()
        : world_({.slots = slots, .slot_size = VRAMSWAP_BLOCK_SIZE, .first_generation = first_generation}),
          ring_(world_.sq(), world_.cq(), entries) {}

    /// Sends a read and takes its SQE.
    vramswap_sqe send() {
        const unsigned tag = world_.queue().take_tag().value();
        requests_[tag] = {.length = VRAMSWAP_BLOCK_SIZE,
                          .opcode = VRAMSWAP_OP_READ,
                          .data = page_.data(),
                          .end = &Table::end,
                          .context = this};
        world_.queue().send(tag, requests_[tag]);
        const vramswap_sqe sqe = ring_.read(0);
        ring_.release(1);
        ++sent_;
        return sqe;
    }

    /// The right answer to an SQE.
    static vramswap_cqe answer(const vramswap_sqe& sqe) {
        return {.slot = sqe.slot, .status = VRAMSWAP_STATUS_OK, .generation = sqe.generation};
    }

    void publish(std::initializer_list<vramswap_cqe> cqes) {
        std::uint32_t number = ring_.reserve(static_cast<std::uint32_t>(cqes.size()));
        for (const vramswap_cqe& cqe : cqes)
            ring_.write(number++, cqe);
        ring_.submit(static_cast<std::uint32_t>(cqes.size()));
    }

    /// Moves the CQ's tail and writes no CQE.
    void move_tail(std::uint32_t by) { ring_.submit(by); }

    int enter() { return world_.queue().enter(0, ring_.head()); }
    void fail_rest() { world_.queue().fail_rest(); }

    /// Requests ended so far, and how many of them well.
    [[nodiscard]] unsigned ended() const { return ended_; }
    [[nodiscard]] unsigned ended_well() const { return ended_well_; }
    [[nodiscard]] unsigned sent() const { return sent_; }
    [[nodiscard]] std::byte* staging(unsigned slot) const { return world_.staging(slot); }
    [[nodiscard]] std::span<const std::byte> page() const { return page_; }

private:
    static void end(Request& request, unsigned /*tag*/, unsigned status) {
        auto& table = *static_cast<Table*>(request.context);
        ++table.ended_;
        table.ended_well_ += status == VRAMSWAP_STATUS_OK ? 1U : 0U;
    }

    World world_;
    Ring ring_;
    std::array<Request, slots> requests_;
    std::array<std::byte, VRAMSWAP_BLOCK_SIZE> page_{};
    unsigned sent_ = 0;
    unsigned ended_ = 0;
    unsigned ended_well_ = 0;
};

vramswap_cqe with_generation(vramswap_cqe cqe, std::uint32_t generation) {
    cqe.generation = generation;
    return cqe;
}

vramswap_cqe with_slot(vramswap_cqe cqe, unsigned slot) {
    cqe.slot = static_cast<std::uint16_t>(slot);
    return cqe;
}

vramswap_cqe with_status(vramswap_cqe cqe, unsigned status) {
    cqe.status = static_cast<std::uint16_t>(status);
    return cqe;
}

// A forgery and the number of requests that may have ended well when it has been refused. Each session starts with two
// requests out, in the slots 0 and 1; the forger gets their right answers.
struct Forgery {
    const char* name;
    unsigned ended_well;
    void (*forge)(Table& table, vramswap_cqe first, vramswap_cqe second);
};

// A slot's second trip.
vramswap_cqe go_again(Table& table, vramswap_cqe first) {
    table.publish({first});
    if (table.enter() != 1)
        return {};
    return Table::answer(table.send());
}

using C = vramswap_cqe;
constexpr auto forgeries = std::to_array<Forgery>({
    {"a slot that was never out", 0,
     [](Table& t, C first, C) { t.publish({{.slot = 2, .status = 0, .generation = first.generation}}); }},
    {"a slot that was never out, with its own generation", 0,
     [](Table& t, C, C) { t.publish({{.slot = 2, .status = 0, .generation = first_generation}}); }},
    {"the same answer twice", 1,
     [](Table& t, C first, C) {
         t.publish({first});
         (void)t.enter();
         t.publish({first});
     }},
    {"the same answer twice in one go", 1, [](Table& t, C first, C) { t.publish({first, first}); }},
    {"a good answer, a bad one, a good one", 1,
     [](Table& t, C first, C second) { t.publish({first, with_slot(second, 3), second}); }},
    {"the answer to the slot's last trip", 1,
     [](Table& t, C first, C) {
         (void)go_again(t, first);
         t.publish({first});
     }},
    {"the answer to the slot's next trip", 0,
     [](Table& t, C first, C) { t.publish({with_generation(first, first.generation + 1)}); }},
    {"a generation with the helper's bit", 0,
     [](Table& t, C first, C) { t.publish({with_generation(first, first.generation | VS_SLOT_HELPER)}); }},
    {"another slot's generation", 1,
     [](Table& t, C first, C second) {
         const C again = go_again(t, first);
         t.publish({with_generation(second, again.generation)});
     }},
    {"the first slot past the last", 0, [](Table& t, C first, C) { t.publish({with_slot(first, slots)}); }},
    {"the largest slot number", 0, [](Table& t, C first, C) { t.publish({with_slot(first, 0xffff)}); }},
    {"the first status past the last", 0,
     [](Table& t, C first, C) { t.publish({with_status(first, VRAMSWAP_STATUS_DATA_LOST + 1)}); }},
    {"the largest status", 0, [](Table& t, C first, C) { t.publish({with_status(first, 0xffff)}); }},
    {"a tail one past what the ring holds", 0,
     [](Table& t, C first, C second) {
         t.publish({first, second});
         t.move_tail(entries + 1 - 2);
     }},
    {"a tail half the numbers away", 0, [](Table& t, C, C) { t.move_tail(1U << 31U); }},
    {"a tail that goes back by one", 1,
     [](Table& t, C first, C) {
         t.publish({first});
         (void)t.enter();
         t.move_tail(0xffffffffU);
     }},
    {"a tail before the first", 0, [](Table& t, C, C) { t.move_tail(0xffffffffU); }},
    {"a full ring, more than there are slots", 2,
     [](Table& t, C first, C second) {
         t.publish({first, second});
         t.move_tail(entries - 2);
     }},
});

// Empty if the forgery was refused in the way that it should be.
std::string refusal(const Forgery& forgery) {
    Table table;
    const vramswap_sqe first = table.send();
    const vramswap_sqe second = table.send();

    if (first.slot != 0 || second.slot != 1 || first.generation != first_generation + 1)
        return "the session did not start as it should";
    forgery.forge(table, Table::answer(first), Table::answer(second));
    if (table.enter() != -EBADMSG)
        return "was believed";
    if (table.ended() != forgery.ended_well || table.ended_well() != forgery.ended_well)
        return "ended a request, or kept a good answer from being heard";
    table.publish({Table::answer(second)});
    if (table.enter() != -EBADMSG || table.ended() != forgery.ended_well)
        return "did not end the session";
    table.fail_rest();
    if (table.ended() != table.sent() || table.ended_well() != forgery.ended_well)
        return "left a request that is neither ended nor failed";
    return {};
}

// What the kernel must believe, and what it copies then.
std::string belief() {
    for (const unsigned status : {VRAMSWAP_STATUS_OK, VRAMSWAP_STATUS_IO_ERROR, VRAMSWAP_STATUS_DATA_LOST}) {
        Table table;
        const vramswap_sqe sqe = table.send();
        std::fill_n(table.staging(sqe.slot), VRAMSWAP_BLOCK_SIZE, std::byte{0x77});
        table.publish({with_status(Table::answer(sqe), status)});
        if (table.enter() != 1 || table.ended() != 1)
            return "a good answer was not believed";
        const std::byte expected{status == VRAMSWAP_STATUS_OK ? std::uint8_t{0x77} : std::uint8_t{0}};
        if (std::ranges::any_of(table.page(), [expected](std::byte byte) { return byte != expected; }))
            return "the reader has bytes that are not the answer's";
    }
    return {};
}

} // namespace

std::string refusals() {
    if (std::string why = belief(); !why.empty())
        return why;
    for (const Forgery& forgery : forgeries)
        if (const std::string why = refusal(forgery); !why.empty())
            return std::string(forgery.name) + ": " + why;
    return {};
}

std::string wrapping() {
    constexpr std::uint32_t first_index = 0xfffffffcU;
    constexpr std::uint32_t near_last = 0x7ffffffdU;
    World world(
        {.slots = 4, .slot_size = VRAMSWAP_BLOCK_SIZE, .first_index = first_index, .first_generation = near_last});
    Ring ring(world.sq(), world.cq(), 4);
    std::array<Request, 4> requests;

    ring.release(first_index);
    ring.submit(first_index);
    for (std::uint32_t trip = 0; trip < 8; ++trip) {
        const std::uint32_t index = first_index + 4 * trip;
        const std::uint32_t generation = (near_last + 1 + trip) & 0x7fffffffU;
        if (ring.head() != index || !vs_sleep_begin(&world.queue().ring(), index))
            return "an empty ring does not look empty at " + std::to_string(index);

        // All slots out, answered in the opposite order, taken in one ENTER: both rings are full once a trip.
        for (Request& request : requests) {
            request = {.length = VRAMSWAP_BLOCK_SIZE,
                       .opcode = VRAMSWAP_OP_WRITE_ZEROES,
                       .end = [](Request& ended, unsigned, unsigned) { ended.context = nullptr; },
                       .context = &world};
            world.queue().send(world.queue().take_tag().value(), request);
        }
        if (ring.peek() != 4 || vs_sleep_begin(&world.queue().ring(), index))
            return "a full ring does not look full at " + std::to_string(index);
        for (std::uint32_t n = 0; n < 4; ++n) {
            const vramswap_sqe sqe = ring.read(3 - n);
            if (sqe.generation != generation)
                return "generation " + std::to_string(generation) + " came as " + std::to_string(sqe.generation);
            ring.write(ring.reserve(4) + n, {.slot = sqe.slot, .status = 0, .generation = generation});
        }
        ring.release(4);
        ring.submit(4);
        if (world.queue().enter(0, ring.head()) != 4 ||
            std::ranges::any_of(requests, [](const Request& request) { return request.context != nullptr; }))
            return "the answers were not believed at " + std::to_string(index);
    }
    return {};
}

std::string early_forgery(std::uint64_t rounds, std::chrono::milliseconds longest) {
    const Budget budget(rounds, longest);
    Verdict verdict;
    u32 owner = 0;
    std::uint64_t request = 0; // plain, as what the submitter writes about its request
    std::atomic<std::uint64_t> claimed = 0;
    std::atomic<bool> over = false;

    std::jthread submitter([&] {
        for (std::uint64_t round = 1; !budget.spent(round); ++round) {
            request = round;
            vs_slot_publish(&owner);
            for (Backoff backoff; claimed.load(std::memory_order_acquire) != round && verdict.ok(); backoff.wait())
                ;
        }
        over.store(true, std::memory_order_relaxed);
    });
    // The forger guesses every generation right and never waits for an SQE.
    std::jthread forger([&] {
        for (std::uint64_t round = 1; verdict.ok(); ++round) {
            for (Backoff backoff; !vs_slot_claim(&owner, static_cast<u32>(round)); backoff.wait())
                if (over.load(std::memory_order_relaxed))
                    return;
            if (request != round)
                verdict.fail("a claim did not see what was written before the slot was published");
            claimed.store(round, std::memory_order_release);
        }
    });
    submitter.join();
    forger.join();
    return verdict.why();
}

} // namespace vramswap::test
