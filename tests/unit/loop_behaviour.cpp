// SPDX-License-Identifier: MIT
#include "catch.hpp"

#include <chrono>
#include <functional>
#include <thread>

#include <helper/host_engine.hpp>

#include "fault_engine.hpp"
#include "loop_rig.hpp"

using namespace vramswap;
using namespace vramswap::test;
using namespace std::chrono_literals;
using policy::EndCause;

namespace {

constexpr std::uint64_t many = 20000 / slowdown_of_sanitizers;

/// Waits until `what` holds; false after ten seconds.
bool eventually(const std::function<bool()>& what) {
    const auto until = std::chrono::steady_clock::now() + 10s;
    while (!what()) {
        if (std::chrono::steady_clock::now() > until)
            return false;
        std::this_thread::sleep_for(1ms);
    }
    return true;
}

/// Random traffic through an engine with faults: every request ends once, every byte is right.
Tally traffic(const Faults& faults, const Shape& shape = {}, unsigned users_per_thread = 6) {
    FaultEngine engine(faults);
    LoopRig rig(shape, engine);
    rig.doorbell.lane = &engine.counters();
    rig.start();
    Crowd crowd(rig.queue(), shape, 2, users_per_thread);
    const Tally tally = crowd.run(many);
    const LoopEnd end = rig.stop();
    REQUIRE(end.cause == EndCause::kernel);
    REQUIRE(end.code == ESHUTDOWN);
    REQUIRE(end.drained);
    REQUIRE(!rig.doorbell.slept_with_transfers);
    REQUIRE(tally.wrong == 0);
    REQUIRE(tally.ended == many);
    REQUIRE(rig.queue().counters().submitted == many);
    REQUIRE(rig.queue().counters().reaped == many);
    REQUIRE(engine.counters().submitted == many);
    return tally;
}

/// A request whose end is only noted.
struct Plain {
    Request request;
    std::atomic<int> ends = 0;
    std::atomic<unsigned> status = 99;

    explicit Plain(std::uint8_t opcode = VRAMSWAP_OP_WRITE_ZEROES, std::uint32_t length = 4096,
                   std::byte* data = nullptr)
        : request{.offset = 0,
                  .length = length,
                  .opcode = opcode,
                  .data = data,
                  .end =
                      [](Request& done, unsigned, unsigned how) {
                          auto& self = *static_cast<Plain*>(done.context);
                          self.status = how;
                          ++self.ends;
                      },
                  .context = this} {}

    void send(KernelQueue& queue) {
        queue.send(queue.take_tag().value(), request);
        queue.doorbell();
    }
};

/// Publishes an SQE as no sane kernel would.
void publish(KernelQueue& queue, const vramswap_sqe& sqe) {
    *vs_sq_reserve(&queue.ring()) = sqe;
    vs_sq_submit(&queue.ring());
    queue.doorbell();
}

/// Sends so many pages' requests before the loop starts. How often it entered until all were taken and it slept.
std::uint64_t enters_for(FaultEngine& engine, unsigned count) {
    std::vector<std::unique_ptr<Plain>> requests;
    LoopRig rig({}, engine);
    for (unsigned i = 0; i < count; ++i) {
        requests.push_back(std::make_unique<Plain>());
        requests.back()->send(rig.queue());
    }
    rig.start();
    REQUIRE(eventually([&] { return rig.queue().counters().reaped == count; }));
    REQUIRE(eventually([&] { return rig.doorbell.waits == 1; }));
    return rig.doorbell.enters;
}

} // namespace

TEST_CASE("every request is answered once, with its bytes, by an engine that is prompt") {
    REQUIRE(traffic({}).errors == 0);
}

TEST_CASE("every request is answered once, with its bytes, by an engine that is late") {
    REQUIRE(traffic({.longest_delay = 20}).errors == 0);
}

TEST_CASE("every request is answered once, with its bytes, in any order") {
    REQUIRE(traffic({.longest_delay = 20, .reorder = true}).errors == 0);
}

TEST_CASE("every request is answered once, with its bytes, when the lane takes few at a time") {
    REQUIRE(traffic({.longest_delay = 5, .reorder = true, .accept_at_most = 2, .refuse_one_in = 3}).errors == 0);
}

TEST_CASE("errors reach the requests that they belong to and no others") {
    const Tally tally = traffic({.longest_delay = 10, .reorder = true, .io_error_one_in = 20, .lost_one_in = 30});
    REQUIRE(tally.errors > many / 40);
    REQUIRE(tally.errors < many / 5);
}

TEST_CASE("all of it together, with few slots and with many") {
    const Faults faults{.seed = 7,
                        .longest_delay = 30,
                        .reorder = true,
                        .accept_at_most = 3,
                        .refuse_one_in = 5,
                        .io_error_one_in = 50,
                        .lost_one_in = 50};
    REQUIRE(traffic(faults, {.slots = 4, .capacity = 1024ULL * 4096}).errors > 0);
    REQUIRE(traffic(faults, {.slots = 64, .capacity = 1024ULL * 4096}, 40).errors > 0);
}

TEST_CASE("generations wrap around") {
    FaultEngine engine({});
    const Shape shape{.first_generation = 0x7fffff00};
    LoopRig rig(shape, engine);
    rig.start();
    Crowd crowd(rig.queue(), shape, 1, 6);
    const Tally tally = crowd.run(many);
    REQUIRE(tally.wrong == 0);
    REQUIRE(tally.ended == many);
    REQUIRE(rig.stop().code == ESHUTDOWN);
}

TEST_CASE("the host engine behind the loop keeps every byte") {
    HostEngine engine("", Log::to_standard_error());
    const Shape shape{.slots = 32, .slot_size = 128U << 10, .capacity = 1024ULL * 4096};
    LoopRig rig(shape, engine);
    rig.start();
    Crowd crowd(rig.queue(), shape, 2, 12);
    const Tally tally = crowd.run(many);
    REQUIRE(tally.wrong == 0);
    REQUIRE(tally.errors == 0);
    REQUIRE(tally.ended == many);
    REQUIRE(rig.stop().code == ESHUTDOWN);
}

TEST_CASE("without spinning all is well too") {
    FaultEngine engine({.longest_delay = 3});
    const Shape shape;
    LoopRig rig(shape, engine, 0us);
    rig.start();
    Crowd crowd(rig.queue(), shape, 1, 1);
    const Tally tally = crowd.run(many / 4);
    REQUIRE(tally.wrong == 0);
    REQUIRE(rig.doorbell.waits > 0);
    REQUIRE(rig.stop().code == ESHUTDOWN);
}

TEST_CASE("an idle loop makes one call and then sleeps") {
    FaultEngine engine({});
    LoopRig rig({}, engine);
    rig.start();
    REQUIRE(eventually([&] { return rig.doorbell.waits == 1; }));
    std::this_thread::sleep_for(300ms);
    REQUIRE(rig.doorbell.enters == 1);
    REQUIRE(rig.doorbell.longest_spin == 100);
    REQUIRE(rig.queue().counters().sleeps == 1);
    REQUIRE(engine.counters().polls == 0);
}

TEST_CASE("requests that wait together are ended with one call") {
    FaultEngine engine({});
    REQUIRE(enters_for(engine, 16) == 2);
}

TEST_CASE("for answers that a waiting submitter takes no call is made, but the one to sleep") {
    FaultEngine engine({});
    Plain request;
    LoopRig rig({}, engine);
    vs_handover_begin(&rig.queue().ring());
    request.send(rig.queue());
    rig.start();
    REQUIRE(eventually([&] { return rig.queue().counters().sleeps == 1; }));
    REQUIRE(rig.doorbell.enters == rig.doorbell.waits);
    REQUIRE(request.ends == 1);
}

TEST_CASE("a few requests are ended with the one call that sleeps") {
    FaultEngine engine({});
    Plain request;
    LoopRig rig({}, engine);
    request.send(rig.queue());
    rig.start();
    REQUIRE(eventually([&] { return request.ends == 1 && rig.queue().counters().sleeps == 1; }));
    REQUIRE(rig.doorbell.enters == 1);
}

TEST_CASE("answers to a deep queue are told by the handful") {
    FaultEngine engine({.accept_at_most = 1});    // done one by one
    REQUIRE(enters_for(engine, 12) == 4 + 1 + 1); // one by one while more than eight pages are left, the rest, to sleep
}

TEST_CASE("answers are told before work that takes long") {
    FaultEngine engine({.accept_at_most = 1});
    const Shape shape{.slot_size = 128 << 10};
    std::vector<std::byte> data(shape.slot_size);
    Plain quick;
    Plain large(VRAMSWAP_OP_READ, shape.slot_size, data.data());
    LoopRig rig(shape, engine);
    rig.doorbell.lane = &engine.counters();
    quick.send(rig.queue());
    large.send(rig.queue());
    rig.start();
    REQUIRE(eventually([&] { return rig.queue().counters().reaped == 2; }));
    REQUIRE(rig.doorbell.submitted_at_first_enter == 1);
}

TEST_CASE("what has ended is not kept from the kernel while something else is in flight") {
    FaultEngine engine({.hang_after = 1});
    Plain quick;
    Plain stuck;
    LoopRig rig({}, engine);
    quick.send(rig.queue());
    stuck.send(rig.queue());
    rig.start();
    REQUIRE(eventually([&] { return quick.ends + stuck.ends == 1; }));
    REQUIRE(rig.doorbell.waits == 0);
}

TEST_CASE("with transfers in flight the loop polls and does not sleep in the kernel") {
    FaultEngine engine({.hang_after = 0});
    Plain request;
    Plain second; // new work, to be taken meanwhile
    LoopRig rig({}, engine);
    request.send(rig.queue());
    rig.start();
    REQUIRE(eventually([&] { return engine.counters().polls > 4000; }));
    REQUIRE(rig.doorbell.waits == 0);
    second.send(rig.queue());
    REQUIRE(eventually([&] { return engine.counters().submitted == 2; }));
    REQUIRE(request.ends == 0);
    REQUIRE(second.ends == 0);
}

TEST_CASE("a stuck engine does not hide the end of the session, and is told apart from one that drained") {
    FaultEngine engine({.hang_after = 0});
    Plain request;
    LoopRig rig({}, engine);
    request.send(rig.queue());
    rig.start();
    REQUIRE(eventually([&] { return engine.counters().polls > 10; }));
    const LoopEnd end = rig.stop(ETIMEDOUT);
    REQUIRE(end.cause == EndCause::kernel);
    REQUIRE(end.code == ETIMEDOUT);
    REQUIRE(!end.drained);
    REQUIRE(request.ends == 0);
}

TEST_CASE("a dead engine ends the loop and leaves its requests to the next helper") {
    FaultEngine engine({.die_after = 1});
    Plain first;
    Plain second;
    LoopRig rig({}, engine);
    first.send(rig.queue());
    rig.start();
    REQUIRE(eventually([&] { return first.ends == 1; }));
    second.send(rig.queue());
    const LoopEnd end = rig.join();
    REQUIRE(end.cause == EndCause::engine);
    REQUIRE(!end.drained);
    REQUIRE(second.ends == 0);
}

TEST_CASE("the end of a session is reported with its reason") {
    for (const int reason : {ESHUTDOWN, ETIMEDOUT, EBADMSG, ENODEV, EDEADLK}) {
        FaultEngine engine({});
        LoopRig rig({}, engine);
        rig.start();
        const LoopEnd end = rig.stop(reason);
        REQUIRE(end.cause == EndCause::kernel);
        REQUIRE(end.code == reason);
        REQUIRE(end.drained);
    }
}

TEST_CASE("transfers in flight at the end of a session are waited for") {
    FaultEngine engine({.shortest_delay = 3000, .reorder = true});
    std::vector<std::unique_ptr<Plain>> requests;
    LoopRig rig({}, engine);
    for (int i = 0; i < 16; ++i) {
        requests.push_back(std::make_unique<Plain>());
        requests.back()->send(rig.queue());
    }
    rig.start();
    REQUIRE(eventually([&] { return engine.counters().submitted == 16; }));
    rig.asked = true;
    REQUIRE(rig.stop().drained);
    REQUIRE(engine.counters().ended == 16);
}

TEST_CASE("a request that the kernel cannot mean ends the loop before anything is touched") {
    const Shape shape;
    const vramswap_sqe good{.offset = 0,
                            .length = 4096,
                            .generation = 1,
                            .slot = 0,
                            .opcode = VRAMSWAP_OP_WRITE,
                            .reserved0 = 0,
                            .reserved1 = 0,
                            .reserved2 = 0};
    std::vector<vramswap_sqe> bad(5, good);
    bad[0].slot = static_cast<std::uint16_t>(shape.slots);
    bad[1].slot = 0xffff;
    bad[2].opcode = 0;
    bad[3].opcode = 4;
    bad[4].length = shape.slot_size + 4096;
    for (const vramswap_sqe& sqe : bad) {
        FaultEngine engine({});
        LoopRig rig(shape, engine);
        publish(rig.queue(), sqe);
        rig.start();
        const LoopEnd end = rig.join();
        REQUIRE(end.cause == EndCause::ring);
        REQUIRE(engine.counters().submitted == 0);
    }
}

TEST_CASE("a slot that is ours already is not taken again") {
    FaultEngine engine({.hang_after = 0});
    LoopRig rig({}, engine);
    const vramswap_sqe sqe{.offset = 0,
                           .length = 4096,
                           .generation = 1,
                           .slot = 3,
                           .opcode = VRAMSWAP_OP_WRITE,
                           .reserved0 = 0,
                           .reserved1 = 0,
                           .reserved2 = 0};
    publish(rig.queue(), sqe);
    publish(rig.queue(), sqe);
    rig.start();
    REQUIRE(rig.join().cause == EndCause::ring);
}

TEST_CASE("an offset beyond the store fails its request alone") {
    FaultEngine engine({});
    const Shape shape;
    std::vector<std::byte> data(4096);
    Plain good(VRAMSWAP_OP_READ, 4096, data.data());
    Plain bad(VRAMSWAP_OP_READ, 4096, data.data());
    LoopRig rig(shape, engine);
    bad.request.offset = shape.capacity;
    rig.start();
    bad.send(rig.queue());
    REQUIRE(eventually([&] { return bad.ends == 1; }));
    REQUIRE(bad.status == VRAMSWAP_STATUS_IO_ERROR);
    good.send(rig.queue());
    REQUIRE(eventually([&] { return good.ends == 1; }));
    REQUIRE(good.status == VRAMSWAP_STATUS_OK);
}

TEST_CASE("a signal during ENTER does not end the loop") {
    class Interrupted final : public Doorbell {
    public:
        explicit Interrupted(KernelQueue& queue) : queue_(queue) {}
        int enter(unsigned /*queue*/, std::uint32_t flags, std::uint32_t sq_head,
                  std::uint32_t spin_us) noexcept override {
            if (++calls % 3 != 0)
                return -EINTR;
            return queue_.enter(flags, sq_head, spin_us);
        }
        std::atomic<int> calls = 0;

    private:
        KernelQueue& queue_;
    };
    const Shape shape;
    KernelHalf half(shape);
    Interrupted doorbell(half.queue(0));
    FaultEngine engine({});
    REQUIRE(engine.open(shape.capacity).has_value());
    const auto lane = std::move(engine.lane(0, shape.slots).value());
    IoLoop loop({.queue = 0,
                 .ring = Ring(half.memory() + half.attach().sq.offset, half.memory() + half.attach().cq.offset,
                              half.attach().ring_entries),
                 .kernel = doorbell,
                 .lane = *lane,
                 .staging = {half.memory() + half.attach().staging.offset, half.attach().staging.size},
                 .slots = shape.slots,
                 .slot_size = shape.slot_size,
                 .spin = policy::Spin(0us, 2),
                 .cpus = 2});
    std::atomic<bool> asked = false;
    LoopEnd end;
    std::thread thread([&] { end = loop.run(asked); });
    Plain request;
    request.send(half.queue(0));
    const bool answered = eventually([&] { return request.ends == 1; });
    half.queue(0).end(-ESHUTDOWN);
    thread.join();
    REQUIRE(answered);
    REQUIRE(end.code == ESHUTDOWN);
}
