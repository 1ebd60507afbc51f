// SPDX-License-Identifier: MIT
#include "cuda_rig.hpp"

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <set>
#include <sstream>

using namespace vramswap;
using namespace vramswap::test;

namespace {

/// Why there is no engine with these faults.
Error no_engine(const std::string& faults, const std::string& gpu = "") {
    const Fake fake(faults);
    const auto engine = CudaEngine::make({.gpu = gpu, .libcuda = fake_library});
    REQUIRE(!engine.has_value());
    return engine.error();
}

bool says(const Error& error, const char* what) {
    return error.message.find(what) != std::string::npos;
}

} // namespace

TEST_CASE("the CUDA engine stores what was written, everywhere") {
    CudaRig rig;
    rig.open();
    Traffic traffic(rig, 1);
    for (int i = 0; i < 100; ++i)
        REQUIRE(traffic.batch());
    REQUIRE(traffic.errors() == 0);
}

TEST_CASE("streams that overtake each other store what was written") {
    CudaRig rig("reorder=1,latency_us=10");
    rig.open();
    Traffic traffic(rig, 2);
    for (int i = 0; i < 30; ++i)
        REQUIRE(traffic.batch());
    REQUIRE(traffic.errors() == 0);
}

TEST_CASE("transfers go from one chunk into the next") {
    constexpr std::uint64_t border = 64ULL << 20;
    CudaRig rig("", 2 * border);
    rig.open();
    REQUIRE(rig.engine->kept().size() == 1 + 3); // the map; two chunks, and what is left of the third's room
    for (const std::uint64_t offset : {border, 2 * border})
        for (const std::uint64_t before : {std::uint64_t{4096}, std::uint64_t{8192}}) {
            const auto bytes = random_bytes(offset == border ? 16384 : before, offset + before);
            REQUIRE(rig.write(offset - before, bytes) == Status::ok);
            REQUIRE(rig.read(offset - before, bytes.size()) == bytes);
        }
    Traffic traffic(rig, 3, border - 128 * 4096, cuda_capacity);
    REQUIRE(rig.carry_out({.offset = border - 128 * 4096, .length = cuda_capacity, .op = Op::write_zeroes}) ==
            Status::ok);
    for (int i = 0; i < 30; ++i)
        REQUIRE(traffic.batch());
}

TEST_CASE("new contents are zero, whatever was in the VRAM") {
    CudaRig rig;
    rig.open();
    for (std::uint64_t offset = 0; offset < rig.capacity; offset += cuda_slot)
        REQUIRE(rig.read(offset, cuda_slot) == std::vector<std::byte>(cuda_slot));
}

TEST_CASE("another session's staging serves the same contents") {
    CudaRig rig;
    rig.open();
    const auto bytes = random_bytes(cuda_slot, 11);
    REQUIRE(rig.write(8192, bytes) == Status::ok);
    rig.lane.reset();
    rig.engine->unbind();
    std::vector<std::byte> other(rig.staging.size());
    std::swap(rig.staging, other);
    rig.bind();
    REQUIRE(rig.read(8192, cuda_slot) == bytes);
    const Transfer old{.offset = 0, .staging = other.data(), .length = 4096, .op = Op::write};
    REQUIRE(rig.carry_out(old) == Status::io_error); // the first session's is not to be touched any more
}

TEST_CASE("CUDA transfers beyond the store or the staging are refused and touch nothing") {
    CudaRig rig;
    rig.open();
    const auto before = rig.staging;
    struct Row {
        std::uint64_t offset;
        std::uint32_t length;
    };
    constexpr std::uint64_t top = ~std::uint64_t{0};
    for (const Row& row : {Row{rig.capacity, 4096}, Row{rig.capacity - 4096, 8192}, Row{top - 4095, 8192}})
        for (const Op op : {Op::read, Op::write, Op::write_zeroes})
            REQUIRE(
                rig.carry_out({.offset = row.offset, .staging = rig.slot(0).data(), .length = row.length, .op = op}) ==
                Status::io_error);
    std::byte* const end = rig.staging.data() + rig.staging.size();
    std::vector<std::byte> foreign(4096);
    for (std::byte* const staging : {end - 2048, end, rig.staging.data() - 4096, foreign.data()})
        REQUIRE(rig.carry_out({.offset = 0, .staging = staging, .length = 4096, .op = Op::read}) == Status::io_error);
    REQUIRE(rig.staging == before);
    REQUIRE(!rig.lane->failed());
}

TEST_CASE("a CUDA lane takes no more than its depth and answers each once") {
    CudaRig rig("latency_us=100");
    rig.open();
    std::vector<Transfer> transfers(3 * cuda_depth);
    for (std::uint32_t i = 0; i < transfers.size(); ++i)
        transfers[i] = {.offset = i * 4096ULL,
                        .staging = rig.slot(i % cuda_depth).data(),
                        .length = 4096,
                        .token = i,
                        .op = i % 2 == 0 ? Op::write : Op::read};
    REQUIRE(rig.lane->submit(transfers) == cuda_depth);
    REQUIRE(rig.lane->submit(transfers) == 0);
    std::vector<std::uint32_t> tokens;
    for (const Completion& one : rig.ended(cuda_depth))
        tokens.push_back(one.token);
    std::ranges::sort(tokens);
    std::vector<std::uint32_t> expected(cuda_depth);
    std::iota(expected.begin(), expected.end(), 0U);
    REQUIRE(tokens == expected);
    REQUIRE(rig.ended(1, std::chrono::milliseconds(20)).empty());
    REQUIRE(rig.lane->submit(transfers) == cuda_depth);
    REQUIRE(rig.ended(cuda_depth).size() == cuda_depth);
}

TEST_CASE("a long WRITE_ZEROES lets a GPU's reads pass, and is done when it is done") {
    constexpr std::uint64_t large = 24ULL << 20;
    CudaRig rig("", large);
    rig.open();
    const auto bytes = random_bytes(4096, 5);
    REQUIRE(rig.write(large - 4096, bytes) == Status::ok);
    REQUIRE(rig.write(large - 8192, bytes) == Status::ok);
    rig.fake.arm("latency_us=2000");
    const std::array<Transfer, 2> transfers{
        Transfer{.offset = 0, .length = large - 4096, .token = 1, .op = Op::write_zeroes},
        Transfer{.offset = large - 4096, .staging = rig.slot(1).data(), .length = 4096, .token = 2, .op = Op::read}};
    REQUIRE(rig.lane->submit(transfers) == 2);
    const auto first = rig.ended(1);
    REQUIRE(first.size() == 1);
    REQUIRE(first.front().token == 2);
    REQUIRE(std::ranges::equal(bytes, rig.slot(1).first(4096)));
    const auto second = rig.ended(1);
    REQUIRE(second.size() == 1);
    REQUIRE(second.front().status == Status::ok);
    rig.fake.arm("");
    REQUIRE(rig.read(large - 8192, 4096) == std::vector<std::byte>(4096));
    REQUIRE(rig.read(large - 4096, 4096) == bytes);
}

TEST_CASE("once live, only copies, fills and the writing of words are asked of the driver") {
    CudaRig rig;
    rig.open();
    rig.fake.mark();
    Traffic traffic(rig, 6);
    for (int i = 0; i < 50; ++i)
        REQUIRE(traffic.batch());
    REQUIRE(rig.fake.called() == "cuMemcpyDtoHAsync cuMemcpyHtoDAsync cuMemsetD8Async cuStreamWriteValue32 ");
}

TEST_CASE("many copies share a word's writing") {
    CudaRig rig;
    rig.open();
    const auto before = rig.fake.calls("cuStreamWriteValue32");
    std::vector<Transfer> transfers(cuda_depth);
    for (std::uint32_t i = 0; i < cuda_depth; ++i)
        transfers[i] = {.offset = i * 4096ULL, .staging = rig.slot(i).data(), .length = 4096, .token = i};
    REQUIRE(rig.lane->submit(transfers) == cuda_depth);
    REQUIRE(rig.ended(cuda_depth).size() == cuda_depth);
    REQUIRE(rig.fake.calls("cuStreamWriteValue32") == before + 1);
}

TEST_CASE("a GPU that cannot be used is refused with a sentence of its own") {
    const Error busy = no_engine("busy=1");
    REQUIRE(busy.code == EBUSY);
    REQUIRE(says(busy, "for itself"));
    const Error prohibited = no_engine("prohibited=1");
    REQUIRE(prohibited.code == EPERM);
    REQUIRE(says(prohibited, "--compute-mode=DEFAULT"));
    const Error integrated = no_engine("integrated=1");
    REQUIRE(integrated.code == ENOTSUP);
    REQUIRE(says(integrated, "no memory of its own"));
    REQUIRE(says(no_engine("no_virtual_memory=1"), "cuMemMap"));
    REQUIRE(says(no_engine("no_posix_fds=1"), "beyond a process"));
    REQUIRE(no_engine("no_device=1").code == ENODEV);
    const Error other = no_engine("devices=2", "7");
    REQUIRE(other.code == ENODEV);
    REQUIRE(says(other, "no GPU '7'"));
    REQUIRE(says(other, "0000:02:00.0"));
}

TEST_CASE("too little VRAM is said with the amounts") {
    CudaRig rig("vram_mib=64", 100ULL << 20);
    const auto opened = rig.engine->open(rig.capacity);
    REQUIRE(!opened.has_value());
    REQUIRE(opened.error().code == ENOMEM);
    REQUIRE(says(opened.error(), "64 MiB of its 64 MiB free"));
    REQUIRE(says(opened.error(), "106 MiB are asked for"));
    // The same before anything is taken.
    REQUIRE(rig.engine->check_room(rig.capacity).error().message == opened.error().message);
    REQUIRE(rig.engine->check_room(cuda_capacity).has_value());
    REQUIRE(rig.engine->open(cuda_capacity).has_value());
}

TEST_CASE("VRAM that runs out on the way is given back") {
    CudaRig rig("oom_after=2", 160ULL << 20);
    const auto opened = rig.engine->open(rig.capacity);
    REQUIRE(!opened.has_value());
    REQUIRE(opened.error().code == ENOMEM);
    rig.fake.arm("");
    REQUIRE(rig.engine->open(rig.capacity).has_value());
}

TEST_CASE("staging that the GPU may not reach is said so") {
    CudaRig rig("refuse_register=1");
    REQUIRE(rig.engine->open(rig.capacity).has_value());
    const auto bound = rig.engine->bind(rig.staging);
    REQUIRE(!bound.has_value());
    REQUIRE(says(bound.error(), "cuMemHostRegister"));
    REQUIRE(says(bound.error(), "CUDA_ERROR_NOT_SUPPORTED"));
}

TEST_CASE("a GPU that stores wrong bits does not get past the warm-up") {
    CudaRig rig;
    REQUIRE(rig.engine->open(rig.capacity).has_value());
    REQUIRE(rig.engine->bind(rig.staging).has_value());
    for (const char* const faults : {"bitflip_at=1", "bitflip_at=3", "bitflip_at=5", "bitflip_at=7", "bitflip_at=9"}) {
        auto lane = rig.engine->lane(0, cuda_depth);
        REQUIRE(lane.has_value());
        rig.fake.arm(faults);
        const auto begun = (*lane)->begin();
        INFO(faults);
        REQUIRE(!begun.has_value());
        REQUIRE(says(begun.error(), "other bytes"));
    }
}

TEST_CASE("a GPU that breaks while a lane begins is an error") {
    for (const char* const faults : {"sticky_at=1", "sticky_at=10", "error_at=2:700", "error_at=3:1", "lost_at=5"}) {
        CudaRig rig;
        REQUIRE(rig.engine->open(rig.capacity).has_value());
        REQUIRE(rig.engine->bind(rig.staging).has_value());
        auto lane = rig.engine->lane(0, cuda_depth);
        REQUIRE(lane.has_value());
        rig.fake.arm(faults);
        INFO(faults);
        REQUIRE(!(*lane)->begin().has_value());
        rig.fake.arm("");
    }
}

TEST_CASE("labels of GPUs fit into what the kernel takes") {
    const CudaRig rig;
    REQUIRE(rig.engine->label() == "FAKE GPU (vramswap test double, host memory) (0000:01:00.0)");
    REQUIRE(rig.engine->label().size() < VRAMSWAP_LABEL_SIZE);
}

TEST_CASE("GPUs are chosen by number in the order of their places, by UUID and by PCI address") {
    const Fake fake("devices=3");
    const auto api = CudaApi::load(fake_library);
    REQUIRE(api.has_value());
    const auto gpus = cuda_device_list(*api);
    REQUIRE(gpus.has_value());
    REQUIRE(gpus->size() == 3);
    const auto place = [&](const std::string& wanted) {
        const auto gpu = cuda_device_choose(*gpus, wanted);
        return gpu ? gpu->pci : "none";
    };
    REQUIRE(place("") == "0000:01:00.0");
    REQUIRE(place("0") == "0000:01:00.0");
    REQUIRE(place("2") == "0000:03:00.0");
    REQUIRE(place("3") == "none");
    REQUIRE(place("0000:02:00.0") == "0000:02:00.0");
    REQUIRE(place("00000000:02:00.0") == "0000:02:00.0");
    REQUIRE(place("02:00.0") == "0000:02:00.0");
    REQUIRE(place("02:00") == "0000:02:00.0");
    REQUIRE(place("02:00.1") == "none");
    REQUIRE(place("1:02:00.0") == "none");
    REQUIRE(place("02:00.0x") == "none");
    REQUIRE(place("GPU-fafafafa-fafa-fafa-fafa-fafafafafa01") == "0000:02:00.0");
    REQUIRE(place("GPU-FAFAFAFA-FAFA-FAFA-FAFA-FAFAFAFAFA02") == "0000:01:00.0");
    REQUIRE(place("GPU-fafafafa") == "none");
}

TEST_CASE("a GPU's device file is held open where there is one") {
    std::string folder = "/dev/shm/vramswap-test-XXXXXX";
    REQUIRE(::mkdtemp(folder.data()) != nullptr);
    const CudaGpu gpu{.name = "some GPU", .pci = "0000:65:00.0"};
    // A driver without such files needs none held.
    const auto none = cuda_device_hold(gpu, folder + "/none", folder);
    REQUIRE(none.has_value());
    REQUIRE(!*none);
    // One that has them, but not this GPU's, does.
    REQUIRE(cuda_device_hold(gpu, folder, folder).error().code == ENOENT);
    std::filesystem::create_directories(folder + "/0000:65:00.0");
    std::ofstream(folder + "/0000:65:00.0/information") << "Model: \t\t some GPU\nDevice Minor: \t 3\nGPU: no\n";
    REQUIRE(cuda_device_hold(gpu, folder, folder).error().message.contains(folder + "/nvidia3"));
    std::ofstream(folder + "/nvidia3") << "here";
    const auto held = cuda_device_hold(gpu, folder, folder);
    REQUIRE(held.has_value());
    REQUIRE(*held);
    std::filesystem::remove_all(folder);
}
