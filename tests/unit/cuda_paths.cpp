// SPDX-License-Identifier: MIT
// The ways in which a GPU can be made to copy: each stores what was written, and fails as the others do.
#include "cuda_rig.hpp"

#include <cerrno>

using namespace vramswap;
using namespace vramswap::test;
using namespace std::chrono_literals;

namespace {

Error no_engine(const std::string& faults, CudaPath path) {
    const Fake fake(faults);
    const auto engine = CudaEngine::make({.path = path, .libcuda = fake_library});
    REQUIRE(!engine.has_value());
    REQUIRE(engine.error().code == ENOTSUP);
    return engine.error();
}

/// Many pages there and back, all at once.
void scatter(CudaRig& rig, std::uint64_t seed) {
    std::vector<Transfer> transfers(cuda_depth);
    for (const Op op : {Op::write, Op::read}) {
        for (std::uint32_t i = 0; i < cuda_depth; ++i) {
            transfers[i] = {.offset = (i * 7 % cuda_depth) * 8192ULL,
                            .staging = rig.slot(i).data(),
                            .length = i % 3 == 0 ? 8192U : 4096U,
                            .token = i,
                            .op = op};
            std::ranges::fill(rig.slot(i), std::byte{0x5A});
            if (op == Op::write)
                std::ranges::copy(random_bytes(transfers[i].length, seed + i), rig.slot(i).begin());
        }
        REQUIRE(rig.lane->submit(transfers) == cuda_depth);
        REQUIRE(rig.ended(cuda_depth).size() == cuda_depth);
    }
    for (std::uint32_t i = 0; i < cuda_depth; ++i)
        REQUIRE(
            std::ranges::equal(random_bytes(transfers[i].length, seed + i), rig.slot(i).first(transfers[i].length)));
}

/// A successor's engine takes the contents over, up to where it is bound.
void adopt(CudaRig& rig, std::vector<InheritedFd>& inherited, const std::string& tuning) {
    rig.lane.reset();
    rig.engine->unbind();
    auto made = CudaEngine::make({.contents = true, .tuning = tuning, .libcuda = fake_library});
    REQUIRE(made.has_value());
    rig.engine = std::move(*made);
    REQUIRE(rig.engine->adopt(rig.capacity, inherited).has_value());
}

/// The same up to a lane that has begun.
void take_over(CudaRig& rig, const std::string& tuning) {
    auto inherited = duplicates(rig.engine->kept());
    adopt(rig, inherited, tuning);
    rig.bind();
}

} // namespace

TEST_CASE("every path stores what was written, everywhere") {
    for (const CudaPath path : cuda_paths)
        for (const char* const faults : {"", "reorder=1,latency_us=10"}) {
            INFO(name_of(path) << " " << faults);
            CudaRig rig(faults, cuda_capacity, path);
            rig.open();
            Traffic traffic(rig, 21);
            for (int i = 0; i < 30; ++i)
                REQUIRE(traffic.batch());
            REQUIRE(traffic.errors() == 0);
            for (std::uint64_t i = 0; i < 20; ++i)
                scatter(rig, 100 * i);
        }
}

TEST_CASE("each path asks the driver for nothing but what it is named after") {
    struct Row {
        CudaPath path;
        const char* calls;
    };
    for (const Row& row : {Row{CudaPath::engine, "cuMemcpyDtoHAsync cuMemcpyHtoDAsync cuStreamWriteValue32 "},
                           Row{CudaPath::batch, "cuMemcpyBatchAsync cuStreamWriteValue32 "},
                           Row{CudaPath::kernel, "cuLaunchKernel cuStreamWriteValue32 "}, Row{CudaPath::poll, ""}}) {
        CudaRig rig("", cuda_capacity, row.path);
        rig.open();
        rig.fake.mark();
        scatter(rig, 1);
        REQUIRE(rig.fake.called() == row.calls);
    }
}

TEST_CASE("many copies are one call") {
    for (const CudaPath path : {CudaPath::batch, CudaPath::kernel}) {
        CudaRig rig("", cuda_capacity, path);
        rig.open();
        const char* const call = path == CudaPath::batch ? "cuMemcpyBatchAsync" : "cuLaunchKernel";
        const auto before = rig.fake.calls(call);
        scatter(rig, 2);
        REQUIRE(rig.fake.calls(call) == before + 2);
    }
}

TEST_CASE("large copies are the copy engines' whatever the path, but for the program that polls") {
    for (const CudaPath path : {CudaPath::batch, CudaPath::kernel, CudaPath::poll}) {
        CudaRig rig("", cuda_capacity, path);
        rig.open();
        rig.fake.mark();
        const auto bytes = random_bytes(cuda_slot, 3);
        REQUIRE(rig.write(4096, bytes) == Status::ok);
        REQUIRE(rig.read(4096, cuda_slot) == bytes);
        const std::string called = rig.fake.called();
        REQUIRE((called == "cuMemcpyDtoHAsync cuMemcpyHtoDAsync cuStreamWriteValue32 ") == (path != CudaPath::poll));
    }
}

TEST_CASE("a GPU that breaks fails the lane on every path, and nothing behind it is answered") {
    for (const CudaPath path : cuda_paths)
        for (const unsigned number : {1, 3, 20})
            for (const char* const fault : {"sticky_at={}:700", "lost_at={}", "blank_at={}:214"}) {
                INFO(name_of(path) << " " << fault);
                CudaRig rig("", cuda_capacity, path);
                rig.open();
                Traffic traffic(rig, number);
                REQUIRE(traffic.batch());
                rig.fake.arm(fmt::format(fmt::runtime(fault), number));
                bool whole = true;
                for (int i = 0; i < 100 && whole; ++i)
                    whole = traffic.batch();
                REQUIRE(!whole);
                REQUIRE(rig.lane->failed());
            }
}

TEST_CASE("a batch that the driver refuses for good fails the lane") {
    for (const CudaPath path : {CudaPath::batch, CudaPath::kernel})
        for (const unsigned number : {1, 2, 3}) {
            CudaRig rig("", cuda_capacity, path);
            rig.open();
            rig.fake.arm(fmt::format("error_at={}:719", number));
            const auto first = rig.write(0, random_bytes(4096, 1));
            REQUIRE((first == Status::ok) == (number == 3)); // the batch, the word behind it, the next batch
            if (number == 3)
                REQUIRE(rig.read(0, 4096).empty());
            REQUIRE(rig.lane->failed());
        }
}

TEST_CASE("a batch that the driver finds invalid is tried one by one") {
    for (const CudaPath path : {CudaPath::batch, CudaPath::kernel}) {
        CudaRig rig("", cuda_capacity, path);
        rig.open();
        const auto before = rig.fake.calls("cuMemcpyHtoDAsync");
        rig.fake.arm("error_at=1:1");
        scatter(rig, 5);
        REQUIRE(rig.fake.calls("cuMemcpyHtoDAsync") == before + cuda_depth);
    }
}

TEST_CASE("a batch that is invalid, and of which a copy is invalid by itself, is answered for no copy") {
    for (const CudaPath path : {CudaPath::batch, CudaPath::kernel}) {
        CudaRig rig("", cuda_capacity, path);
        rig.open();
        rig.fake.arm("invalid_copies=1");
        REQUIRE(!rig.write(0, random_bytes(4096, 6)).has_value()); // some may be under way: no slot is given back
        REQUIRE(rig.lane->failed());
    }
}

TEST_CASE("a GPU that stores a wrong bit in any copy of the warm-up's tests does not get past it") {
    constexpr unsigned copies = 60; // so many operations, at least, come before those whose bytes are of no interest
    constexpr unsigned step = slowdown_of_sanitizers;
    for (const CudaPath path : cuda_paths) {
        unsigned noticed = 0;
        for (unsigned number = 1; number <= copies; number += step) {
            CudaRig rig("", cuda_capacity, path);
            REQUIRE(rig.engine->open(rig.capacity).has_value());
            REQUIRE(rig.engine->bind(rig.staging).has_value());
            auto lane = rig.engine->lane(0, cuda_depth);
            REQUIRE(lane.has_value());
            rig.lane = std::move(*lane);
            const auto flipped = rig.fake.calls("a copy's flipped bit");
            rig.fake.arm(fmt::format("bitflip_at={}", number));
            const auto begun = rig.lane->begin();
            INFO(name_of(path) << " " << number);
            if (begun) {
                REQUIRE(rig.fake.calls("a copy's flipped bit") == flipped);
                continue;
            }
            REQUIRE(begun.error().message.find("must not hold pages") != std::string::npos);
            ++noticed;
        }
        REQUIRE(noticed > copies / step / 4);
    }
}

TEST_CASE("a batch that the driver does not support all at once fails the lane") {
    CudaRig rig("", cuda_capacity, CudaPath::batch);
    rig.open();
    rig.fake.arm("refuse_batch=1"); // says not_supported: the lane fails at once
    REQUIRE(!rig.write(0, random_bytes(4096, 1)).has_value());
    REQUIRE(rig.lane->failed());
}

TEST_CASE("lanes of several queues that poll begin and end beside each other") {
    CudaRig rig("", cuda_capacity, CudaPath::poll);
    REQUIRE(rig.engine->open(rig.capacity).has_value());
    for (int session = 0; session < 2; ++session) {
        REQUIRE(rig.engine->bind(rig.staging).has_value());
        std::vector<std::unique_ptr<Lane>> lanes;
        for (unsigned queue = 0; queue < 2; ++queue) {
            auto lane = rig.engine->lane(queue, cuda_depth);
            REQUIRE(lane.has_value());
            lanes.push_back(std::move(*lane));
        }
        for (const auto& lane : lanes)
            REQUIRE(lane->begin().has_value());
        for (auto& lane : lanes) {
            rig.lane = std::move(lane);
            scatter(rig, 31);
            lane = std::move(rig.lane);
        }
        lanes.clear();
        rig.engine->unbind();
    }
}

TEST_CASE("programs that poll are refused where they would not all fit") {
    CudaRig rig("processors=20", cuda_capacity, CudaPath::poll);
    REQUIRE(rig.engine->open(rig.capacity).has_value());
    REQUIRE(rig.engine->bind(rig.staging).has_value());
    const auto first = rig.engine->lane(0, cuda_depth);
    REQUIRE(first.has_value());
    const auto second = rig.engine->lane(1, cuda_depth);
    REQUIRE(second.has_value());
    const auto third = rig.engine->lane(2, cuda_depth);
    REQUIRE(!third.has_value());
    REQUIRE(third.error().code == ENOTSUP);
    REQUIRE(third.error().message.find("20 multiprocessors") != std::string::npos);
}

TEST_CASE("lanes of contents taken over copy by the engines where no program that polls fits any more") {
    CudaRig rig("processors=20");
    rig.open();
    auto inherited = duplicates(rig.engine->kept());
    rig.lane.reset();
    rig.engine->unbind();
    auto made =
        CudaEngine::make({.contents = true, .tuning = CudaPaths(CudaPath::poll).code(), .libcuda = fake_library});
    REQUIRE(made.has_value());
    rig.engine = std::move(*made);
    REQUIRE(rig.engine->adopt(rig.capacity, inherited).has_value());
    REQUIRE(rig.engine->bind(rig.staging).has_value());
    const auto first = rig.engine->lane(0, cuda_depth);
    const auto second = rig.engine->lane(1, cuda_depth);
    auto third = rig.engine->lane(2, cuda_depth);
    REQUIRE((first.has_value() && second.has_value() && third.has_value()));
    REQUIRE((*third)->begin().has_value());
    rig.lane = std::move(*third);
    rig.fake.mark();
    scatter(rig, 1);
    REQUIRE(rig.fake.called() == "cuMemcpyDtoHAsync cuMemcpyHtoDAsync cuStreamWriteValue32 ");
}

TEST_CASE("more copies than one call takes, and than a copier has room for") {
    for (const CudaPath path : cuda_paths) {
        INFO(name_of(path));
        constexpr unsigned depth = 400;
        CudaRig rig("", cuda_capacity * 2, path);
        rig.staging.resize(depth * 4096UL);
        REQUIRE(rig.engine->open(rig.capacity).has_value());
        REQUIRE(rig.engine->bind(rig.staging).has_value());
        auto made = rig.engine->lane(0, depth);
        REQUIRE(made.has_value());
        rig.lane = std::move(*made);
        REQUIRE(rig.lane->begin().has_value());
        std::vector<Transfer> transfers(depth);
        for (const Op op : {Op::write, Op::read}) {
            for (std::uint32_t i = 0; i < depth; ++i) {
                const auto page = std::span(rig.staging).subspan(i * 4096UL, 4096);
                transfers[i] = {.offset = i * 4096ULL, .staging = page.data(), .length = 4096, .token = i, .op = op};
                if (op == Op::write)
                    std::ranges::copy(random_bytes(4096, i), page.begin());
                else
                    std::ranges::fill(page, std::byte{0x5A});
            }
            std::size_t taken = 0;
            std::size_t ended = 0;
            const auto until = std::chrono::steady_clock::now() + 20s;
            while (ended < depth && std::chrono::steady_clock::now() < until) {
                taken += rig.lane->submit(std::span(transfers).subspan(taken));
                std::array<Completion, 64> some;
                const std::size_t got = rig.lane->poll(some);
                for (const Completion& one : std::span(some).first(got))
                    REQUIRE(one.status == Status::ok);
                ended += got;
            }
            REQUIRE(ended == depth);
        }
        for (std::uint32_t i = 0; i < depth; ++i)
            REQUIRE(std::ranges::equal(random_bytes(4096, i), std::span(rig.staging).subspan(i * 4096UL, 4096)));
    }
}

TEST_CASE("the program that polls ends with its lane") {
    CudaRig rig("", cuda_capacity, CudaPath::poll);
    rig.open();
    scatter(rig, 6);
    const auto before = std::chrono::steady_clock::now();
    rig.lane.reset();
    REQUIRE(std::chrono::steady_clock::now() - before < 1s);
    rig.engine->unbind();
    rig.bind(); // and another begins
    scatter(rig, 7);
}

TEST_CASE("a mailbox is used many times over") {
    CudaRig rig("", cuda_capacity, CudaPath::poll);
    rig.open();
    for (std::uint64_t i = 0; i < 100; ++i)
        scatter(rig, i);
}

TEST_CASE("a path that cannot be had is refused with what it lacks") {
    REQUIRE(no_engine("version=12040", CudaPath::batch).message.find("CUDA 12.8") != std::string::npos);
    REQUIRE(no_engine("old_model=1", CudaPath::kernel).message.find("7.5") != std::string::npos);
    REQUIRE(no_engine("old_model=1", CudaPath::poll).message.find("7.5") != std::string::npos);
    REQUIRE(no_engine("display=1", CudaPath::poll).message.find("display") != std::string::npos);
    // What the others lack does not keep copy engines from work.
    for (const std::optional<CudaPath> path : {std::optional<CudaPath>(), std::optional(CudaPath::engine)}) {
        CudaRig rig("version=12040,old_model=1,display=1", cuda_capacity, path);
        rig.open();
        scatter(rig, 8);
        REQUIRE(rig.fake.calls("cuMemcpyHtoDAsync") > 0);
    }
}

TEST_CASE("without a wish the paths are measured, and what came out is said") {
    CudaRig rig("", cuda_capacity, std::nullopt);
    rig.open();
    scatter(rig, 9);
    const std::string remarks = rig.engine->remarks();
    INFO(remarks);
    for (const char* const word : {"reads", "writes", "engine", "batch", "kernel", "1 and 64 pages"})
        REQUIRE(remarks.find(word) != std::string::npos);
    REQUIRE(remarks.find("poll") == std::string::npos);
    for (const CudaPath path : {CudaPath::kernel, CudaPath::poll}) {
        CudaRig wish("", cuda_capacity, path);
        wish.open();
        REQUIRE(wish.engine->remarks().find(name_of(path)) != std::string::npos);
        REQUIRE(wish.engine->remarks().find("1 and 64 pages: engine") != std::string::npos);
    }
}

TEST_CASE("measuring a slow GPU ends after a while") {
    CudaRig rig("", cuda_capacity, std::nullopt);
    REQUIRE(rig.engine->open(rig.capacity).has_value());
    rig.fake.arm("latency_us=3000");
    const auto before = std::chrono::steady_clock::now();
    REQUIRE(rig.engine->bind(rig.staging).has_value());
    REQUIRE(std::chrono::steady_clock::now() - before < 1500ms); // a fifth of a second, and one batch of 64 copies
}

TEST_CASE("measuring a GPU that breaks is an error, not a choice") {
    CudaRig rig("", cuda_capacity, std::nullopt);
    REQUIRE(rig.engine->open(rig.capacity).has_value());
    rig.fake.arm("sticky_at=5:719");
    const auto bound = rig.engine->bind(rig.staging);
    REQUIRE(!bound.has_value());
    REQUIRE(bound.error().code == EIO);
}

TEST_CASE("a path that the driver refuses is not taken, and said so") {
    for (const char* const faults : {"refuse_batch=1", "refuse_kernel=1", "refuse_batch=1,refuse_kernel=1"}) {
        CudaRig rig(faults, cuda_capacity, std::nullopt);
        rig.open();
        rig.fake.mark();
        scatter(rig, 41);
        INFO(rig.engine->remarks());
        REQUIRE(rig.engine->remarks().find("not: CUDA_ERROR_NOT_SUPPORTED") != std::string::npos);
        REQUIRE((std::string(faults).find("batch") == std::string::npos ||
                 rig.fake.called().find("Batch") == std::string::npos));
        REQUIRE((std::string(faults).find("kernel") == std::string::npos ||
                 rig.fake.called().find("Launch") == std::string::npos));
    }
    // Asked for, it is an error.
    for (const auto& [path, fault] :
         {std::pair(CudaPath::batch, "refuse_batch=1"), std::pair(CudaPath::kernel, "refuse_kernel=1"),
          std::pair(CudaPath::poll, "refuse_kernel=1")}) {
        CudaRig wish(fault, cuda_capacity, path);
        REQUIRE(wish.engine->open(wish.capacity).has_value());
        const auto bound = wish.engine->bind(wish.staging);
        REQUIRE(!bound.has_value());
        REQUIRE(bound.error().code == ENOTSUP);
    }
}

TEST_CASE("contents are taken over by the copy engines if their path cannot be had any more") {
    struct Row {
        CudaPath path;
        const char* faults;
    };
    for (const Row& row :
         {Row{CudaPath::batch, "version=12040"}, Row{CudaPath::kernel, "old_model=1"}, Row{CudaPath::poll, "display=1"},
          Row{CudaPath::poll, "old_model=1"}, Row{CudaPath::poll, "processors=7"}}) {
        INFO(name_of(row.path) << " " << row.faults);
        CudaRig rig(row.faults);
        rig.open();
        const auto bytes = random_bytes(8192, 51);
        REQUIRE(rig.write(4096, bytes) == Status::ok);
        take_over(rig, CudaPaths(row.path).code());
        REQUIRE(rig.engine->remarks().find("contents are worth more") != std::string::npos);
        REQUIRE(rig.read(4096, 8192) == bytes);
    }
}

TEST_CASE("contents are taken over by the paths that they had, and nothing is measured") {
    CudaPaths mixed(CudaPath::engine);
    mixed.set(Op::read, 3, CudaPath::kernel);
    mixed.set(Op::write, 6, CudaPath::batch);
    for (const std::string& tuning :
         {mixed.code(), CudaPaths(CudaPath::poll).code(), std::string(), std::string("x")}) {
        INFO(tuning);
        CudaRig rig("", cuda_capacity);
        rig.open();
        const auto bytes = random_bytes(8192, 51);
        REQUIRE(rig.write(4096, bytes) == Status::ok);
        take_over(rig, tuning);
        REQUIRE(rig.engine->tuning() == CudaPaths::of_code(tuning).value_or(CudaPaths()).code());
        REQUIRE(rig.engine->remarks().find("as before") != std::string::npos);
        REQUIRE(rig.engine->remarks().find(" us") == std::string::npos);
        REQUIRE(rig.read(4096, 8192) == bytes);
    }
}

TEST_CASE("paths that break a GPU that takes contents over are an error, and the copy engines go on") {
    for (const CudaPath path : {CudaPath::batch, CudaPath::kernel}) {
        INFO(name_of(path));
        CudaRig rig(path == CudaPath::batch ? "refuse_batch=1" : "refuse_kernel=1");
        rig.open();
        const auto bytes = random_bytes(8192, 52);
        REQUIRE(rig.write(4096, bytes) == Status::ok);
        auto inherited = duplicates(rig.engine->kept());
        adopt(rig, inherited, CudaPaths(path).code());
        REQUIRE(rig.engine->bind(rig.staging).has_value());
        auto lane = rig.engine->lane(0, cuda_depth);
        REQUIRE((!lane || !(*lane)->begin()));
        lane = {};
        take_over(rig, {});
        REQUIRE(rig.read(4096, 8192) == bytes);
    }
}

TEST_CASE("a successor reads the paths as they were written, or none") {
    for (const CudaPath path : cuda_paths)
        REQUIRE(CudaPaths::of_code(CudaPaths(path).code())->code() == CudaPaths(path).code());
    REQUIRE(CudaPaths(CudaPath::kernel).code().size() <= Engine::max_tuning);
    for (const char* const wrong : {"", "e", "eeeeeeeeeeeee", "eeeeeeeeeeeeeee", "eeeeeeeeeeeeex", "eeeeeeeeeeeeep"})
        REQUIRE(!CudaPaths::of_code(wrong));
}
