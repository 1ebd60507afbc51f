// SPDX-License-Identifier: MIT
// A GPU that fails in any way ends in an error or a failed lane: never in wrong bytes, and never in waiting for good.
#include "cuda_rig.hpp"

#include <cerrno>

#include <unistd.h>

using namespace vramswap;
using namespace vramswap::test;
using namespace std::chrono_literals;

namespace {

/// Traffic until the lane has failed. Traffic itself requires that nothing that was answered `ok` is wrong.
void fail_in_traffic(const std::string& fault, std::uint64_t seed) {
    INFO(fault);
    CudaRig rig;
    rig.open();
    Traffic traffic(rig, seed);
    REQUIRE(traffic.batch());
    rig.fake.arm(fault);
    bool whole = true;
    for (int i = 0; i < 100 && whole; ++i)
        whole = traffic.batch();
    REQUIRE(!whole);
    REQUIRE(rig.lane->failed());
    // What it is given now it does not answer, and does not touch.
    const Transfer late{.offset = 0, .staging = rig.slot(0).data(), .length = 4096, .token = 99, .op = Op::write};
    REQUIRE(rig.lane->submit(std::span(&late, 1)) == 0);
}

/// What a successor says to the contents that an engine left.
Result<void> adoption(const std::vector<KeptFd>& kept, const std::string& faults = "",
                      std::uint64_t capacity = cuda_capacity) {
    auto inherited = duplicates(kept);
    const Fake fake(faults);
    auto engine = CudaEngine::make({.path = CudaPath::engine, .libcuda = fake_library});
    REQUIRE(engine.has_value());
    return (*engine)->adopt(capacity, inherited);
}

} // namespace

TEST_CASE("a call that the driver refuses for good fails the lane") {
    for (const char* const code : {"700", "702", "214", "226", "714", "719", "721", "810", "2", "46", "999"})
        for (const unsigned number : {1, 2, 7, 40})
            fail_in_traffic(fmt::format("error_at={}:{}", number, code), number);
}

TEST_CASE("a copy that the driver finds invalid fails alone") {
    CudaRig rig;
    rig.open();
    const auto bytes = random_bytes(4096, 1);
    REQUIRE(rig.write(0, bytes) == Status::ok);
    rig.fake.arm("error_at=1:1");
    REQUIRE(rig.write(0, random_bytes(4096, 2)) == Status::io_error);
    REQUIRE(!rig.lane->failed());
    REQUIRE(rig.read(0, 4096) == bytes);
}

TEST_CASE(
    "a fill or a word that the driver refuses fails the lane, since what came before it is not known to be done") {
    CudaRig rig;
    rig.open();
    rig.fake.arm("error_at=2:1"); // the word behind the copy
    REQUIRE(!rig.write(0, random_bytes(4096, 1)).has_value());
    REQUIRE(rig.lane->failed());
    CudaRig other;
    other.open();
    other.fake.arm("error_at=1:1");
    REQUIRE(!other.carry_out({.offset = 0, .length = 4096, .op = Op::write_zeroes}).has_value());
    REQUIRE(other.lane->failed());
}

TEST_CASE("an operation that breaks the context fails the lane, and nothing behind it is answered") {
    for (const unsigned number : {1, 2, 3, 10, 33})
        for (const char* const fault : {"sticky_at={}:700", "sticky_at={}:719", "lost_at={}", "blank_at={}:214"})
            fail_in_traffic(fmt::format(fmt::runtime(fault), number), number);
}

TEST_CASE("the last transfer's failure is noticed although nothing follows it") {
    CudaRig rig;
    rig.open();
    rig.fake.arm("sticky_at=1:702");
    REQUIRE(!rig.write(0, random_bytes(4096, 1)).has_value());
    REQUIRE(rig.lane->failed());
}

TEST_CASE("a transfer that hangs is not answered, and is answered once it goes on") {
    for (const CudaPath path : cuda_paths) {
        INFO(name_of(path));
        CudaRig rig("", cuda_capacity, path);
        rig.open();
        const auto bytes = random_bytes(4096, 7);
        std::ranges::copy(bytes, rig.slot(0).begin());
        const auto asked = rig.fake.calls("cuStreamQuery");
        rig.fake.arm("hang_at=1");
        const Transfer transfer{
            .offset = 8192, .staging = rig.slot(0).data(), .length = 4096, .token = 5, .op = Op::write};
        REQUIRE(rig.lane->submit(std::span(&transfer, 1)) == 1);
        REQUIRE(rig.ended(1, 1200ms).empty());
        REQUIRE(!rig.lane->failed()); // it may only be slow
        REQUIRE(rig.fake.calls("cuStreamQuery") > asked);
        rig.fake.arm("");
        const auto ended = rig.ended(1);
        REQUIRE(ended.size() == 1);
        REQUIRE(ended.front().status == Status::ok);
        REQUIRE(rig.read(8192, 4096) == bytes);
    }
}

TEST_CASE("a GPU that is only slow is waited for") {
    CudaRig rig;
    rig.open();
    rig.fake.arm("latency_us=700000");
    REQUIRE(rig.write(0, random_bytes(4096, 1)) == Status::ok);
    REQUIRE(!rig.lane->failed());
}

TEST_CASE("a successor in the same process adopts every byte") {
    CudaRig rig;
    rig.open();
    const auto bytes = random_bytes(cuda_slot, 8);
    REQUIRE(rig.write(4096, bytes) == Status::ok);
    auto inherited = duplicates(rig.engine->kept());
    rig.lane.reset();
    rig.engine->unbind();
    rig.engine.reset();
    CudaRig second;
    REQUIRE(second.engine->adopt(cuda_capacity, inherited).has_value());
    for (const InheritedFd& one : inherited)
        REQUIRE(!one.fd);
    second.bind();
    REQUIRE(second.read(4096, cuda_slot) == bytes);
    REQUIRE(second.engine->kept().size() == inherited.size());
    // And a third after it.
    REQUIRE(adoption(second.engine->kept()).has_value());
}

TEST_CASE("contents that are not whole or not these are not adopted") {
    CudaRig rig;
    rig.open();
    const auto kept = rig.engine->kept();
    REQUIRE(adoption(kept).has_value());
    REQUIRE(adoption(kept, "", 2 * cuda_capacity).error().code == ERANGE);
    REQUIRE(adoption({}).error().code == ENOENT);
    REQUIRE(adoption({kept.front()}).error().code == ENOENT); // the map alone
    REQUIRE(adoption({kept.back()}).error().code == ENOENT);
    REQUIRE(adoption({{.name = kept.front().name, .fd = kept.back().fd}, kept.back()}).error().code == EPROTO);
    REQUIRE(adoption(kept, "refuse_import=1").error().code == ENODEV);
}

TEST_CASE("contents in another GPU are not adopted") {
    CudaRig rig("devices=2");
    rig.open();
    auto inherited = duplicates(rig.engine->kept());
    auto other = CudaEngine::make({.gpu = "1", .path = CudaPath::engine, .libcuda = fake_library});
    REQUIRE(other.has_value());
    const auto adopted = (*other)->adopt(cuda_capacity, inherited);
    REQUIRE(!adopted.has_value());
    REQUIRE(adopted.error().message.find(rig.engine->uuid()) != std::string::npos);
    auto again = duplicates(rig.engine->kept());
    auto same = CudaEngine::make({.gpu = rig.engine->uuid(), .path = CudaPath::engine, .libcuda = fake_library});
    REQUIRE(same.has_value());
    REQUIRE((*same)->adopt(cuda_capacity, again).has_value());
}

TEST_CASE("a GPU that lost the contents never serves blank pages") {
    for (const char* const fault : {"lost_at=1", "blank_at=1"}) {
        INFO(fault);
        CudaRig rig;
        rig.open();
        REQUIRE(rig.write(0, random_bytes(4096, 9)) == Status::ok);
        rig.fake.arm(fault);
        REQUIRE(!rig.write(0, random_bytes(4096, 10)).has_value());
        REQUIRE(rig.lane->failed());
        const auto adopted = adoption(rig.engine->kept());
        REQUIRE(!adopted.has_value());
        REQUIRE(adopted.error().code == ENODEV);
    }
}

TEST_CASE("what was erased is not adopted") {
    CudaRig rig;
    rig.open();
    REQUIRE(rig.engine->erase().has_value());
    REQUIRE(adoption(rig.engine->kept()).error().code == ENODEV);
}
