// SPDX-License-Identifier: MIT
#include "ring_scenarios.hpp"
#include "ring_world.hpp"

#include <helper/ring.hpp>

namespace vramswap::test {

std::string handovers(std::uint64_t rounds, std::chrono::milliseconds longest) {
    const Budget budget(rounds, longest);
    World world(small_shape());
    vs_ring& ring = world.queue().ring();
    Ring helpers(world.sq(), world.cq(), world.kernel.attach().ring_entries);
    Meeting meeting(world);
    bool left_alone = false; // the helper's until the second meeting of a round, then the submitter's

    const auto leave = [&] {
        Random random(1);
        stay_on_processor(0);
        for (std::uint64_t round = 0;; ++round) {
            vs_handover_begin(&ring);
            if (!meeting.wait(0))
                break;
            dawdle(random.below(32));
            vs_handover_end(&ring);
            const bool seen = vs_cq_peek(&ring) != 0; // (O)
            if (!meeting.wait(0))
                break;
            if (left_alone && !seen)
                world.verdict.fail("a CQE is left that both believe the other to take: round " + std::to_string(round));
            vs_cq_take(&ring);
            world.moved();
            if (budget.spent(round + 1))
                world.stop.store(true, std::memory_order_relaxed);
        }
    };
    const auto publish = [&] {
        Random random(2);
        stay_on_processor(1);
        while (meeting.wait(1)) {
            dawdle(random.below(32));
            helpers.write(helpers.reserve(1), {});
            helpers.submit(1);
            left_alone = helpers.kernel_reaps();
            if (!meeting.wait(1))
                break;
        }
    };
    world.run({leave, publish}, {}, std::chrono::seconds(10));
    if (world.verdict.ok() && vs_cq_peek(&ring) > 1)
        world.verdict.fail("CQEs are left over");
    return world.verdict.why();
}

} // namespace vramswap::test
