// SPDX-License-Identifier: MIT
#include "ring_scenarios.hpp"
#include "ring_world.hpp"

#include <helper/ring.hpp>

#include <deque>
#include <thread>

namespace vramswap::test {

namespace {

// One request, sent over and over.
class Caller {
public:
    Caller(World& world, const Wakeups& wakeups, unsigned index)
        : world_(&world), budget_(wakeups.rounds, wakeups.longest), longest_delay_(wakeups.longest_delay),
          longest_spin_(wakeups.spin), random_(index) {
        request_ = {
            .length = VRAMSWAP_BLOCK_SIZE, .opcode = VRAMSWAP_OP_WRITE_ZEROES, .end = &Caller::end, .context = this};
    }

    void run() {
        for (std::uint64_t round = 0; !budget_.spent(round) && world_->goes_on(); ++round) {
            ended_.store(false, std::memory_order_relaxed);
            send();
            await_end();
            dawdle(random_.below(longest_delay_ + 1));
        }
    }

private:
    static void end(Request& request, unsigned tag, unsigned /*status*/) {
        auto& caller = *static_cast<Caller*>(request.context);
        caller.world_->owners.expect_kernels(tag);
        caller.world_->moved();
        caller.ended_.store(true, std::memory_order_release);
    }

    // The tag comes free only after end has returned, hence the loop.
    void send() {
        for (Backoff backoff; world_->goes_on(); backoff.wait()) {
            if (const auto tag = world_->queue().take_tag()) {
                world_->owners.kernel_gives(*tag);
                const std::uint32_t generation = world_->queue().send(*tag, request_);
                (void)world_->queue().doorbell(); // woken or not
                if (longest_spin_ != 0)
                    world_->queue().spin(*tag, generation, static_cast<unsigned>(random_.below(longest_spin_)));
                return;
            }
        }
    }

    // Spins for a while first, so that the next request comes while the helper is on its way to sleep.
    void await_end() {
        for (Backoff backoff; !ended_.load(std::memory_order_acquire) && world_->goes_on(); backoff.wait())
            ;
    }

    World* world_;
    Budget budget_;
    std::uint64_t longest_delay_;
    unsigned longest_spin_;
    Random random_;
    Request request_;
    std::atomic<bool> ended_ = false;
};

// A helper that answers at once, enters unless it need not, and sleeps as soon as there is nothing to answer.
class Sleeper {
public:
    explicit Sleeper(World& world)
        : world_(&world), ring_(world.sq(), world.cq(), world.kernel.attach().ring_entries) {}

    void run() {
        while (world_->verdict.ok()) {
            if (answer(ring_.peek()) && ring_.kernel_reaps())
                continue;
            const int result = world_->queue().enter(VRAMSWAP_ENTER_WAIT, ring_.head());
            passes_.fetch_add(1, std::memory_order_relaxed);
            if (result == -ESHUTDOWN)
                break;
            if (result < 0)
                world_->verdict.fail("ENTER refused what the helper sent");
        }
    }

    /// How often the helper has come back from ENTER.
    [[nodiscard]] std::uint64_t passes() const noexcept { return passes_.load(std::memory_order_relaxed); }

private:
    // False if there was nothing to answer.
    bool answer(std::uint32_t count) {
        const std::uint32_t first = ring_.reserve(count);
        for (std::uint32_t n = 0; n < count; ++n) {
            const vramswap_sqe sqe = ring_.read(n);
            world_->owners.expect_helpers(sqe.slot);
            world_->owners.helper_gives(sqe.slot);
            ring_.write(first + n, {.slot = sqe.slot, .status = VRAMSWAP_STATUS_OK, .generation = sqe.generation});
        }
        ring_.release(count);
        ring_.submit(count);
        return count != 0;
    }

    World* world_;
    Ring ring_;
    std::atomic<std::uint64_t> passes_ = 0;
};

} // namespace

std::string wakeups(const Wakeups& wakeups) {
    World world(small_shape());
    Sleeper sleeper(world);
    std::deque<Caller> callers;
    std::vector<std::function<void()>> calling;

    for (unsigned i = 0; i < wakeups.submitters; ++i) {
        Caller& caller = callers.emplace_back(world, wakeups, i);
        calling.emplace_back([&caller] { caller.run(); });
    }
    world.run(calling, {[&sleeper] { sleeper.run(); }}, wakeups.patience);

    const Counters counters = world.queue().counters();
    if (counters.wakes > counters.sleeps)
        world.verdict.fail("more wake-ups than sleeps");
    if (world.verdict.ok() && counters.reaped != counters.submitted)
        world.verdict.fail("the counters do not add up");
    return world.verdict.why();
}

std::string crossings(std::uint64_t rounds, std::chrono::milliseconds longest) {
    const Budget budget(rounds, longest);
    World world(small_shape());
    vs_ring& ring = world.queue().ring();
    Meeting meeting(world);
    bool slept = false; // the sleeper's until the second meeting of a round, then the submitter's

    const auto submit = [&] {
        Random random(1);
        stay_on_processor(0);
        for (std::uint64_t round = 0; meeting.wait(0); ++round) {
            dawdle(random.below(32));
            vs_sq_submit(&ring);
            const bool woken = vs_doorbell_take(&ring);
            if (!meeting.wait(0))
                break;
            if (slept && !woken)
                world.verdict.fail("the helper sleeps, there is work, and nobody wakes it: round " +
                                   std::to_string(round));
            world.moved();
            if (budget.spent(round + 1))
                world.stop.store(true, std::memory_order_relaxed);
        }
    };
    const auto sleep = [&] {
        Random random(2);
        stay_on_processor(1);
        for (std::uint64_t round = 0; meeting.wait(1); ++round) {
            dawdle(random.below(32));
            slept = vs_sleep_begin(&ring, static_cast<std::uint32_t>(round));
            if (!meeting.wait(1))
                break;
            vs_sleep_end(&ring);
        }
    };
    world.run({submit, sleep}, {}, std::chrono::seconds(10));
    return world.verdict.why();
}

std::string doorbells() {
    World world(small_shape());
    vs_ring& ring = world.queue().ring();
    std::uint64_t wakes = 0;
    const auto ring_three_times = [&world] {
        const std::uint64_t before = world.queue().counters().wakes;
        for (int i = 0; i < 3; ++i)
            world.queue().doorbell();
        return world.queue().counters().wakes - before;
    };

    if (ring_three_times() != 0)
        return "a doorbell woke a helper that is awake";
    for (int sleep = 0; sleep < 3; ++sleep) {
        if (!vs_sleep_begin(&ring, 0))
            return "there is no work, and yet the helper may not sleep";
        wakes = ring_three_times();
        if (wakes != 1)
            return "three doorbells for one sleep made " + std::to_string(wakes) + " wake-ups";
    }
    if (!vs_sleep_begin(&ring, 0))
        return "there is no work, and yet the helper may not sleep";
    vs_sleep_end(&ring);
    if (ring_three_times() != 0)
        return "a doorbell woke a helper that had got up by itself";
    if (vs_sleep_begin(&ring, 1))
        return "the tail is not what the helper has taken, and yet it may sleep";
    return {};
}

std::string idleness(std::chrono::milliseconds duration) {
    World world(small_shape());
    Sleeper sleeper(world);

    const auto watch = [&] {
        // It may take its time to fall asleep, but once it sleeps only a doorbell may stir it.
        while (world.queue().counters().sleeps == 0)
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        const Counters before = world.queue().counters();
        const std::uint64_t passes = sleeper.passes();
        std::this_thread::sleep_for(duration);
        const Counters after = world.queue().counters();
        if (after.sleeps != before.sleeps || after.wakes != before.wakes || sleeper.passes() != passes)
            world.verdict.fail("an idle helper stirred");
    };
    world.run({watch}, {[&sleeper] { sleeper.run(); }}, duration + std::chrono::seconds(10));
    return world.verdict.why();
}

} // namespace vramswap::test
