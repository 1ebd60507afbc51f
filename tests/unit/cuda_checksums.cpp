// SPDX-License-Identifier: MIT
// Bits that flip in the GPU: with checksums no read returns them.
#include <algorithm>

#include <helper/checksum_engine.hpp>

#include "cuda_rig.hpp"

using namespace vramswap;
using namespace vramswap::test;

namespace {

/// As CudaRig, but with checksums between the test and the GPU.
class CheckedRig {
public:
    explicit CheckedRig(CudaPath path) : rig_("", cuda_capacity, path), engine_(std::move(rig_.engine)) {
        REQUIRE(engine_.open(cuda_capacity).has_value());
        REQUIRE(engine_.bind(rig_.staging).has_value());
        auto lane = engine_.lane(0, cuda_depth);
        REQUIRE(lane.has_value());
        rig_.lane = std::move(*lane);
        REQUIRE(rig_.lane->begin().has_value());
    }
    CheckedRig(const CheckedRig&) = delete;
    CheckedRig& operator=(const CheckedRig&) = delete;
    CheckedRig(CheckedRig&&) = delete;
    CheckedRig& operator=(CheckedRig&&) = delete;
    ~CheckedRig() {
        rig_.fake.arm("");
        rig_.lane.reset();
        engine_.unbind();
    }

    CudaRig& rig() { return rig_; }
    ChecksumEngine& engine() { return engine_; }

private:
    CudaRig rig_;
    ChecksumEngine engine_;
};

TEST_CASE("whatever copy a bit flips in, a read returns what was written or fails, on all paths") {
    for (const CudaPath path : cuda_paths) {
        CheckedRig checked(path);
        CudaRig& rig = checked.rig();
        unsigned failed = 0;
        unsigned flipped = 0;
        for (unsigned number = 1; number <= 12; ++number) {
            INFO(name_of(path) << " " << number);
            const auto before = rig.fake.calls("a copy's flipped bit");
            rig.fake.arm(fmt::format("bitflip_at={}", number));
            const auto bytes = random_bytes(cuda_slot, number);
            REQUIRE(rig.write(0, bytes) == Status::ok);
            for (unsigned i = 0; i < 3; ++i) {
                const auto got = rig.read(0, cuda_slot);
                if (got.empty())
                    ++failed;
                else
                    REQUIRE(got == bytes);
            }
            REQUIRE(!rig.lane->failed());
            flipped += rig.fake.calls("a copy's flipped bit") != before ? 1 : 0;
        }
        INFO(name_of(path));
        REQUIRE(flipped != 0);
        REQUIRE(failed % 3 == 0); // what is stored wrong stays so
        REQUIRE(checked.engine().alarm().empty() == (failed == 0));
    }
}

TEST_CASE("a GPU says whether its memory corrects errors") {
    const CudaRig without;
    REQUIRE(!without.engine->has_ecc());
    const CudaRig with("ecc=1");
    REQUIRE(with.engine->has_ecc());
}

} // namespace
