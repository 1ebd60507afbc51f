// SPDX-License-Identifier: MIT
// The CUDA engine behind an IoLoop, between the kernel's half of the ring and the fake driver.
#include "catch.hpp"

#include <helper/cuda_engine.hpp>

#include "cuda_fake.hpp"
#include "loop_rig.hpp"

using namespace vramswap;
using namespace vramswap::test;

namespace {

constexpr Shape shape{.slots = 32, .slot_size = 16U << 10, .capacity = 512ULL * 4096};
constexpr std::uint64_t requests = 5000 / slowdown_of_sanitizers;

std::unique_ptr<CudaEngine> engine() {
    auto made = CudaEngine::make({.path = CudaPath::engine, .libcuda = fake_library});
    REQUIRE(made.has_value());
    return std::move(*made);
}

} // namespace

TEST_CASE("requests of many users go through the ring into the GPU and back") {
    for (const char* const faults : {"", "reorder=1", "latency_us=50"}) {
        INFO(faults);
        const Fake fake(faults);
        const auto cuda = engine();
        LoopRig rig(shape, *cuda);
        rig.start();
        Crowd crowd(rig.queue(), shape, 2, 6);
        const Tally tally = crowd.run(requests);
        REQUIRE(tally.ended == requests);
        REQUIRE(tally.wrong == 0);
        REQUIRE(tally.errors == 0);
        REQUIRE(rig.stop().code == ESHUTDOWN);
    }
}

TEST_CASE("a loop whose GPU breaks ends for its engine's sake, and leaves what is unanswered to the next helper") {
    for (const char* const fault : {"sticky_at=1", "lost_at=2", "error_at=1:719", "error_at=2:700"}) {
        INFO(fault);
        const Fake fake;
        const auto cuda = engine();
        std::vector<std::byte> data(shape.slot_size);
        std::atomic<unsigned> ends = 0;
        Request request{
            .offset = 4096,
            .length = shape.slot_size,
            .opcode = VRAMSWAP_OP_WRITE,
            .data = data.data(),
            .end = [](Request& one, unsigned, unsigned) { ++*static_cast<std::atomic<unsigned>*>(one.context); },
            .context = &ends};
        LoopRig rig(shape, *cuda);
        rig.start();
        Crowd(rig.queue(), shape, 1, 6).work(0, 100);
        fake.arm(fault);
        rig.queue().send(rig.queue().take_tag().value(), request);
        rig.queue().doorbell();
        const LoopEnd end = rig.join();
        REQUIRE(end.cause == policy::EndCause::engine);
        REQUIRE(!end.drained);
        REQUIRE(ends == 0);
    }
}
