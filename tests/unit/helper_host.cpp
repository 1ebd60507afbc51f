// SPDX-License-Identifier: MIT
#include "catch.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <helper/host_engine.hpp>

#include "vramswap.h"

using namespace vramswap;

namespace {

constexpr std::uint64_t capacity = 96 * 4096;
constexpr unsigned depth = 8;
constexpr std::size_t slot_size = 128UL << 10;

/// A folder of its own in memory, gone with the object.
class Folder {
public:
    Folder() {
        std::string name = "/dev/shm/vramswap-test-XXXXXX";
        path_ = ::mkdtemp(name.data());
    }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    Folder(Folder&&) = delete;
    Folder& operator=(Folder&&) = delete;
    ~Folder() { std::filesystem::remove_all(path_); }
    [[nodiscard]] std::string file(const char* name) const { return path_ + "/" + name; }

private:
    std::string path_;
};

Log test_log() {
    return Log::to_standard_error();
}

/// Puts one transfer through a lane and waits for its end.
Status carry_out(Lane& lane, const Transfer& transfer) {
    REQUIRE(lane.submit(std::span(&transfer, 1)) == 1);
    std::array<Completion, depth> completions;
    for (int polls = 0; polls < 1000; ++polls) {
        const std::size_t count = lane.poll(completions);
        if (count != 0) {
            REQUIRE(count == 1);
            REQUIRE(completions.front().token == transfer.token);
            return completions.front().status;
        }
    }
    FAIL("the transfer did not end");
    return Status::io_error;
}

std::vector<std::byte> pattern(std::size_t length, std::uint64_t seed) {
    std::mt19937_64 random(seed);
    std::vector<std::byte> bytes(length);
    std::ranges::generate(bytes, [&] { return static_cast<std::byte>(random()); });
    return bytes;
}

/// Writes, reads back and zeroes at random places, against a model of every byte.
void match_model(Engine& engine, std::uint64_t seed) {
    auto lane = engine.lane(0, depth);
    REQUIRE(lane.has_value());
    std::vector<std::byte> staging(slot_size);
    std::vector<std::byte> model(capacity);
    REQUIRE(carry_out(**lane, {.offset = 0, .length = capacity, .op = Op::write_zeroes}) == Status::ok);
    std::mt19937_64 random(seed);
    const std::uint64_t blocks = capacity / VRAMSWAP_BLOCK_SIZE;
    for (std::uint32_t i = 0; i < 2000; ++i) {
        const std::uint64_t first = random() % blocks;
        const std::uint64_t count = 1 + random() % std::min<std::uint64_t>(blocks - first, slot_size / 4096);
        Transfer transfer{.offset = first * 4096,
                          .staging = staging.data(),
                          .length = static_cast<std::uint32_t>(count * 4096),
                          .token = i,
                          .op = static_cast<Op>(random() % 3)};
        const std::span part = std::span(model).subspan(transfer.offset, transfer.length);
        if (transfer.op == Op::write) {
            std::ranges::copy(pattern(transfer.length, random()), staging.begin());
            std::ranges::copy(std::span(staging).first(transfer.length), part.begin());
        } else if (transfer.op == Op::write_zeroes) {
            transfer.staging = nullptr;
            std::ranges::fill(part, std::byte{0});
        }
        REQUIRE(carry_out(**lane, transfer) == Status::ok);
        if (transfer.op == Op::read)
            REQUIRE(std::ranges::equal(part, std::span(staging).first(transfer.length)));
    }
}

} // namespace

TEST_CASE("the memfd engine stores what was written, everywhere") {
    HostEngine engine("", test_log());
    REQUIRE(engine.open(capacity).has_value());
    REQUIRE(engine.label() == "host memory (memfd)");
    match_model(engine, 1);
}

TEST_CASE("a file engine stores what was written, everywhere") {
    const Folder folder;
    HostEngine engine(folder.file("store"), test_log());
    REQUIRE(engine.open(capacity).has_value());
    match_model(engine, 2);
}

TEST_CASE("transfers beyond the store are refused and touch nothing") {
    HostEngine engine("", test_log());
    REQUIRE(engine.open(capacity).has_value());
    auto lane = engine.lane(0, depth);
    REQUIRE(lane.has_value());
    std::vector<std::byte> staging = pattern(slot_size, 3);
    const std::vector<std::byte> before = staging;
    struct Row {
        std::uint64_t offset;
        std::uint32_t length;
    };
    constexpr std::uint64_t top = ~std::uint64_t{0};
    for (const Row& row : {Row{capacity, 4096}, Row{capacity - 4096, 8192}, Row{capacity + 4096, 4096},
                           Row{top - 4095, 4096}, Row{top - 4095, 8192}, Row{0, capacity + 4096}})
        for (const Op op : {Op::read, Op::write, Op::write_zeroes}) {
            const Transfer transfer{.offset = row.offset, .staging = staging.data(), .length = row.length, .op = op};
            REQUIRE(carry_out(**lane, transfer) == Status::io_error);
        }
    REQUIRE(staging == before);
    REQUIRE(
        carry_out(**lane, {.offset = capacity - 4096, .staging = staging.data(), .length = 4096, .op = Op::write}) ==
        Status::ok);
}

TEST_CASE("a lane takes no more than its depth and answers each once") {
    HostEngine engine("", test_log());
    REQUIRE(engine.open(capacity).has_value());
    auto lane = engine.lane(0, depth);
    REQUIRE(lane.has_value());
    std::vector<std::byte> staging(4096);
    std::vector<Transfer> transfers(3 * depth);
    for (std::uint32_t i = 0; i < transfers.size(); ++i)
        transfers[i] = {.offset = 0,
                        .staging = staging.data(),
                        .length = 4096,
                        .token = i,
                        .op = i % 2 == 0 ? Op::write : Op::write_zeroes};
    REQUIRE((*lane)->submit(transfers) == depth);
    REQUIRE((*lane)->submit(transfers) == 0);
    std::vector<std::uint32_t> tokens;
    std::array<Completion, 3> few;
    for (int polls = 0; polls < 100; ++polls)
        for (std::size_t i = 0, count = (*lane)->poll(few); i < count; ++i)
            tokens.push_back(few.at(i).token);
    std::ranges::sort(tokens);
    std::vector<std::uint32_t> expected(depth);
    std::iota(expected.begin(), expected.end(), 0U);
    REQUIRE(tokens == expected);
    REQUIRE((*lane)->submit(transfers) == depth);
}

TEST_CASE("a long WRITE_ZEROES lets others pass") {
    constexpr std::uint64_t large = VRAMSWAP_MAX_ZEROES_BYTES / 8;
    HostEngine engine("", test_log());
    REQUIRE(engine.open(large).has_value());
    auto lane = engine.lane(0, depth);
    REQUIRE(lane.has_value());
    std::vector<std::byte> staging = pattern(4096, 4);
    REQUIRE(carry_out(**lane, {.offset = large - 4096, .staging = staging.data(), .length = 4096, .op = Op::write}) ==
            Status::ok);
    const std::array<Transfer, 2> transfers{
        Transfer{.offset = 0, .length = large - 4096, .token = 1, .op = Op::write_zeroes},
        Transfer{.offset = large - 4096, .staging = staging.data(), .length = 4096, .token = 2, .op = Op::read}};
    REQUIRE((*lane)->submit(transfers) == 2);
    std::array<Completion, 2> completions;
    REQUIRE((*lane)->poll(completions) == 1);
    REQUIRE(completions.front().token == 2);
    int polls = 0;
    while ((*lane)->poll(completions) == 0)
        REQUIRE(++polls < 1000);
    REQUIRE(polls > 1);
    REQUIRE(completions.front().token == 1);
    REQUIRE(completions.front().status == Status::ok);
}

TEST_CASE("a successor adopts the memfd with every byte") {
    HostEngine first("", test_log());
    REQUIRE(first.open(capacity).has_value());
    std::vector<std::byte> staging = pattern(slot_size, 5);
    auto lane = first.lane(0, depth);
    REQUIRE(carry_out(**lane, {.offset = 4096, .staging = staging.data(), .length = slot_size, .op = Op::write}) ==
            Status::ok);
    const auto kept = first.kept();
    REQUIRE(kept.size() == 1);
    REQUIRE(kept.front().name == "vramswap-store");

    std::vector<InheritedFd> inherited;
    inherited.push_back({.name = "vramswap-store", .fd = Fd(::fcntl(kept.front().fd, F_DUPFD_CLOEXEC, 0))});
    HostEngine second("", test_log());
    REQUIRE(second.adopt(capacity, inherited).has_value());
    auto other = second.lane(0, depth);
    std::vector<std::byte> back(slot_size);
    REQUIRE(carry_out(**other, {.offset = 4096, .staging = back.data(), .length = slot_size, .op = Op::read}) ==
            Status::ok);
    REQUIRE(back == staging);
}

TEST_CASE("a memfd of another size, or none, is not adopted") {
    HostEngine first("", test_log());
    REQUIRE(first.open(capacity).has_value());
    std::vector<InheritedFd> inherited;
    HostEngine second("", test_log());
    REQUIRE(!second.adopt(capacity, inherited).has_value());
    inherited.push_back({.name = "vramswap-store", .fd = Fd(::fcntl(first.kept().front().fd, F_DUPFD_CLOEXEC, 0))});
    const auto adopted = second.adopt(2 * capacity, inherited);
    REQUIRE(!adopted.has_value());
    REQUIRE(adopted.error().message.find("384 KiB") != std::string::npos);
    REQUIRE(adopted.error().message.find("768 KiB") != std::string::npos);
}

TEST_CASE("the memfd lies in a tmpfs without swapping, or is sealed") {
    HostEngine engine("", test_log());
    REQUIRE(engine.open(capacity).has_value());
    const int fd = engine.kept().front().fd;
    struct stat status{};
    REQUIRE(::fstat(fd, &status) == 0);
    REQUIRE(status.st_nlink == 0);
    REQUIRE(static_cast<std::uint64_t>(status.st_size) == capacity);
    if (::fcntl(fd, F_GET_SEALS) == F_SEAL_SEAL) // a file of tmpfs takes no seals
        return;
    REQUIRE(::ftruncate(fd, 4096) != 0);
    REQUIRE(::ftruncate(fd, 2 * capacity) != 0);
    REQUIRE(::fcntl(fd, F_GET_SEALS) == (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL));
}

TEST_CASE("a file keeps its bytes, is extended, its blocks allocated, and is locked against a second helper") {
    const Folder folder;
    const std::string path = folder.file("store");
    std::ofstream(path) << "what was there";
    HostEngine engine(path, test_log());
    REQUIRE(engine.adopt(capacity, *std::make_unique<std::vector<InheritedFd>>()).has_value());
    REQUIRE(engine.kept().empty());
    REQUIRE(engine.label() == "host memory (" + path + ")");
    struct stat status{};
    REQUIRE(::stat(path.c_str(), &status) == 0);
    REQUIRE(static_cast<std::uint64_t>(status.st_size) == capacity);
    REQUIRE(static_cast<std::uint64_t>(status.st_blocks) * 512 >= capacity);
    auto lane = engine.lane(0, depth);
    std::vector<std::byte> back(4096);
    REQUIRE(carry_out(**lane, {.offset = 0, .staging = back.data(), .length = 4096, .op = Op::read}) == Status::ok);
    REQUIRE(std::memcmp(back.data(), "what was there", 14) == 0);

    HostEngine second(path, test_log());
    const auto opened = second.open(capacity);
    REQUIRE(!opened.has_value());
    REQUIRE(opened.error().code == EBUSY);
}

TEST_CASE("a longer file stays as long as it is") {
    const Folder folder;
    const std::string path = folder.file("store");
    std::ofstream(path).flush();
    REQUIRE(::truncate(path.c_str(), 4 * capacity) == 0);
    HostEngine engine(path, test_log());
    REQUIRE(engine.open(capacity).has_value());
    REQUIRE(std::filesystem::file_size(path) == 4 * capacity);
}

TEST_CASE("stores that cannot be are refused with a sentence") {
    const Folder folder;
    std::vector<InheritedFd> none;
    HostEngine missing(folder.file("missing"), test_log());
    const auto adopted = missing.adopt(capacity, none);
    REQUIRE(!adopted.has_value());
    REQUIRE(adopted.error().code == ENOENT);
    for (const char* const path : {"/dev/vramswap-no-such-device", "/dev/shm", "/no/such/folder/file"}) {
        HostEngine engine(path, test_log());
        const auto opened = engine.open(capacity);
        REQUIRE(!opened.has_value());
        REQUIRE(opened.error().message.find(path) != std::string::npos);
    }
    REQUIRE(!std::filesystem::exists("/dev/vramswap-no-such-device"));
}

TEST_CASE("more memory than there is is refused before anything is asked for") {
    HostEngine engine("", test_log());
    const auto opened = engine.open(1ULL << 43);
    REQUIRE(!opened.has_value());
    REQUIRE(opened.error().code == ENOMEM);
}

TEST_CASE("labels fit into what the kernel takes") {
    const HostEngine engine("/" + std::string(200, 'x'), test_log());
    REQUIRE(engine.label().size() == VRAMSWAP_LABEL_SIZE - 1);
}
