// SPDX-License-Identifier: MIT
#include "checks.hpp"

#include <cerrno>
#include <cstring>
#include <fstream>

#include <linux/if_packet.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fmt/format.h>

#include <helper/fd.hpp>
#include <helper/lowmem.hpp>

#include "load.hpp"

namespace vramswap::bench {
namespace {

/// Of this process, as /proc tells it. `key`: "VmRSS:" and such.
std::uint64_t memory_mib(const std::string& key) {
    std::ifstream file("/proc/self/status");
    for (std::string word; file >> word;)
        if (word == key) {
            std::uint64_t kib = 0;
            file >> kib;
            return kib >> 10;
        }
    return 0;
}

bool may_lock() {
    rlimit limit{};
    return ::getrlimit(RLIMIT_MEMLOCK, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY;
}

} // namespace

Finding check_every_byte(const Setting& setting) {
    const std::string name = by_path(setting, "random requests against a model of every byte");
    auto engine = make_cuda(setting, setting.capacity);
    if (!engine)
        return not_ok(name, engine.error());
    auto rig = Rig::make(shape_of(setting, setting.capacity), **engine, always_look);
    if (!rig)
        return not_ok(name, rig.error());
    Model model(setting.capacity);
    Outcome outcome = run(**rig, {.mix = Mix::any, .depth = 64, .length = 128U << 10, .time = 4 * setting.time}, model);
    return {.name = name,
            .verdict = all_right(outcome) ? Verdict::ok : Verdict::failed,
            .text = fmt::format("{} requests, {} MiB, {} blocks wrong, {} requests failed", outcome.latency.count(),
                                outcome.bytes >> 20, outcome.wrong, outcome.errors)};
}

Finding check_registration(const Setting& setting) {
    const std::string name = "the driver takes memory that a kernel module has mapped";
    const auto skip = [&](const char* what) -> Finding {
        return {.name = name, .verdict = Verdict::skipped, .text = fmt::format("{}: {}", what, std::strerror(errno))};
    };
    const Fd packets(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0)); // which hears nothing
    if (!packets)
        return skip("no packet socket");
    constexpr unsigned blocks = 256;
    constexpr unsigned block = 4096; // single pages, as the module's
    const tpacket_req request{
        .tp_block_size = block, .tp_block_nr = blocks, .tp_frame_size = 4096, .tp_frame_nr = blocks * block / 4096};
    if (::setsockopt(packets.get(), SOL_PACKET, PACKET_RX_RING, &request, sizeof request) != 0)
        return skip("no packet ring");
    void* const ring =
        ::mmap(nullptr, std::size_t{blocks} * block, PROT_READ | PROT_WRITE, MAP_SHARED, packets.get(), 0);
    if (ring == MAP_FAILED)
        return skip("the packet ring is not mapped");
    auto engine = make_cuda(setting, 64ULL << 20);
    if (!engine)
        return not_ok(name, engine.error());
    const auto bound = (*engine)->bind({static_cast<std::byte*>(ring), std::size_t{blocks} * block});
    Result<void> moved;
    if (bound) {
        // Its warm-up copies from and to the memory, and compares.
        auto lane = (*engine)->lane(0, 16);
        moved = lane ? (*lane)->begin() : pass_on(lane);
    }
    (*engine)->unbind();
    ::munmap(ring, std::size_t{blocks} * block);
    if (!bound)
        return not_ok(name, bound.error());
    if (!moved)
        return not_ok(name, moved.error());
    return {.name = name,
            .text = fmt::format("{} KiB registered, bytes moved both ways and right", blocks * block >> 10)};
}

Finding check_start(const Setting& setting) {
    using Clock = std::chrono::steady_clock;
    const std::string name = "start";
    const auto start = Clock::now();
    auto engine = make_cuda(setting, setting.capacity);
    if (!engine)
        return not_ok(name, engine.error());
    const auto stored = Clock::now();
    auto rig = Rig::make(shape_of(setting, setting.capacity), **engine, always_look);
    if (!rig)
        return not_ok(name, rig.error());
    const auto ms = [](Clock::duration time) {
        return std::chrono::duration_cast<std::chrono::milliseconds>(time).count();
    };
    return {.name = name,
            .text = fmt::format("driver, context and {} MiB zeroed: {} ms; lanes warmed up: {} ms",
                                setting.capacity >> 20, ms(stored - start), ms(Clock::now() - stored))};
}

Finding check_memory(const Setting& setting) {
    const std::string name = "a session works with all its memory locked";
    auto engine = make_cuda(setting, setting.capacity);
    if (!engine)
        return not_ok(name, engine.error());
    auto rig = Rig::make(shape_of(setting, setting.capacity), **engine, always_look);
    if (!rig)
        return not_ok(name, rig.error());
    const std::uint64_t before = memory_mib("VmRSS:");
    if (const auto locked = lowmem::lock_memory(); !locked)
        return {
            .name = name, .verdict = may_lock() ? Verdict::failed : Verdict::skipped, .text = locked.error().message};
    const std::uint64_t after = memory_mib("VmRSS:");
    Model model(setting.capacity);
    const Outcome outcome =
        run(**rig, {.mix = Mix::any, .depth = 64, .length = 128U << 10, .time = setting.time}, model);
    return {.name = name,
            .verdict = all_right(outcome) ? Verdict::ok : Verdict::failed,
            .text = fmt::format("{} MiB of RAM before, {} when locked, {} under load; {} MiB of addresses", before,
                                after, memory_mib("VmRSS:"), memory_mib("VmSize:"))};
}

} // namespace vramswap::bench
