// SPDX-License-Identifier: MIT
#include "measure.hpp"

#include <array>
#include <cerrno>
#include <ctime>
#include <thread>

#include <dlfcn.h>

#include <fmt/format.h>

#include <helper/cuda_engine.hpp>
#include <helper/cuda_memory.hpp>
#include <helper/host_engine.hpp>

namespace vramswap::bench {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using cuda::Code;

/// What is measured; `depth` is of all queues together.
struct Case {
    const char* what;
    Mix mix;
    unsigned queues;
    unsigned depth;
    std::uint32_t length;
    std::chrono::microseconds look = always_look;
};

std::vector<Case> cases(unsigned queues) {
    std::vector<Case> all;
    for (const Mix mix : {Mix::read, Mix::write}) {
        all.push_back({"lone", mix, 1, 1, 4096});
        for (const unsigned depth : {32U, 128U, 512U}) {
            all.push_back({"random", mix, 1, depth, 4096});
            if (queues > 1)
                all.push_back({"random", mix, queues, depth, 4096});
        }
        all.push_back({"large", mix, 1, 16, 128U << 10});
        all.push_back({"large", mix, 1, 8, 1U << 20});
        all.push_back({"lone", mix, 1, 1, 4096, usual_look});
        all.push_back({"random", mix, 1, 32, 4096, usual_look});
    }
    return all;
}

Result<std::unique_ptr<Engine>> make_engine(const Setting& setting, bool host) {
    if (host)
        return std::make_unique<HostEngine>("", Log::to_standard_error());
    auto cuda = make_cuda(setting, 0);
    if (!cuda)
        return pass_on(cuda);
    return std::move(*cuda);
}

Result<Row> measure(const Setting& setting, Engine& engine, Model& model, const Case& one) {
    const unsigned depth = one.depth / one.queues;
    auto rig = Rig::make({.queues = one.queues,
                          .slots = std::max(depth, 2U),
                          .slot_size = std::max<std::uint32_t>(one.length, 4096),
                          .capacity = setting.capacity},
                         engine, one.look);
    if (!rig)
        return pass_on(rig);
    const Load load{.mix = one.mix, .depth = depth, .length = one.length, .time = setting.time};
    Load warm = load;
    warm.time = setting.time / 4;
    const Outcome before = run(**rig, warm, model);
    Outcome outcome = run(**rig, load, model);
    outcome.wrong += before.wrong;
    outcome.errors += before.errors;
    return Row{.engine = {},
               .what = one.what,
               .mix = one.mix,
               .queues = one.queues,
               .depth = one.depth,
               .length = one.length,
               .look = one.look,
               .outcome = std::move(outcome)};
}

// ---- raw copies ----

constexpr std::size_t large = 64ULL << 20;

/// Everything to copy between.
struct Ends {
    CudaApi api;
    CudaContext context;
    CudaStore store;
    CudaPinned pinned;
    CudaStream stream;
};

double seconds_since(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
}

Error refused(const Ends& ends, Code code) {
    return {.code = EIO, .message = fmt::format("a raw copy failed: {}", ends.api.text(code))};
}

Result<Raw> pinned_copies(const Setting& setting, const Ends& ends, bool to_gpu) {
    const auto start = Clock::now();
    std::uint64_t copies = 0;
    while (Clock::now() - start < setting.time) {
        constexpr unsigned batch = 8;
        Code code = Code::success;
        for (unsigned i = 0; i < batch && code == Code::success; ++i)
            code = to_gpu ? ends.api.MemcpyHtoDAsync(ends.store.address(), ends.pinned.bytes().data(), large,
                                                     ends.stream.get())
                          : ends.api.MemcpyDtoHAsync(ends.pinned.bytes().data(), ends.store.address(), large,
                                                     ends.stream.get());
        if (code == Code::success)
            code = ends.api.StreamSynchronize(ends.stream.get());
        if (code != Code::success)
            return std::unexpected(refused(ends, code));
        copies += batch;
    }
    const double seconds = seconds_since(start);
    return Raw{.what = to_gpu ? "pinned 64 MiB, host to GPU" : "pinned 64 MiB, GPU to host",
               .bytes_per_second = static_cast<double>(copies) * large / seconds,
               .per_second = static_cast<double>(copies) / seconds};
}

Result<Raw> synchronous_copies(const Setting& setting, const Ends& ends, bool to_gpu) {
    void* const library = ::dlopen(setting.libcuda.c_str(), RTLD_NOW | RTLD_LOCAL);
    const auto to =
        reinterpret_cast<Code (*)(cuda::Address, const void*, std::size_t)>(::dlsym(library, "cuMemcpyHtoD_v2"));
    const auto from =
        reinterpret_cast<Code (*)(void*, cuda::Address, std::size_t)>(::dlsym(library, "cuMemcpyDtoH_v2"));
    Raw raw{.what = to_gpu ? "synchronous 4 KiB, host to GPU" : "synchronous 4 KiB, GPU to host"};
    if (to == nullptr || from == nullptr)
        return fail(ENOSYS, "the driver has no synchronous copies");
    constexpr std::size_t block = VRAMSWAP_BLOCK_SIZE;
    const std::size_t blocks = ends.store.capacity() / block;
    std::array<std::byte, block> page{};
    Histogram latency;
    const auto start = Clock::now();
    for (std::uint64_t i = 1; Clock::now() - start < setting.time; ++i) {
        const cuda::Address place = ends.store.address() + i * 7919 % blocks * block; // a prime: all over the place
        const auto before = Clock::now();
        if (const Code code = to_gpu ? to(place, page.data(), block) : from(page.data(), place, block);
            code != Code::success)
            return std::unexpected(refused(ends, code));
        latency.add(static_cast<std::uint64_t>((Clock::now() - before) / 1ns));
    }
    const double seconds = seconds_since(start);
    raw.per_second = static_cast<double>(latency.count()) / seconds;
    raw.bytes_per_second = raw.per_second * block;
    raw.p50_ns = latency.quantile(0.5);
    raw.p99_ns = latency.quantile(0.99);
    return raw;
}

} // namespace

Result<std::vector<Row>> measure_loads(const Setting& setting, bool host) {
    auto engine = make_engine(setting, host);
    if (!engine)
        return pass_on(engine);
    if (auto open = (*engine)->open(setting.capacity); !open)
        return pass_on(open);
    Model model(setting.capacity);
    {
        auto rig = Rig::make({.slots = 8, .slot_size = 1U << 20, .capacity = setting.capacity}, **engine, always_look);
        if (!rig)
            return pass_on(rig);
        if (!all_right(fill(**rig, model)))
            return fail(EIO, "a write failed");
    }
    std::vector<Row> rows;
    for (const Case& one : cases(setting.queues)) {
        auto row = measure(setting, **engine, model, one);
        if (!row)
            return pass_on(row);
        row->engine = host ? "host" : fmt::format("cuda {}", setting.path ? name_of(*setting.path) : "auto");
        rows.push_back(std::move(*row));
    }
    return rows;
}

Result<std::vector<Raw>> measure_raw(const Setting& setting) {
    auto api = CudaApi::load(setting.libcuda);
    if (!api)
        return pass_on(api);
    const auto gpu = cuda_device_find(*api, setting.gpu);
    if (!gpu)
        return std::unexpected(gpu.error());
    auto context = CudaContext::make(*api, *gpu);
    if (!context)
        return pass_on(context);
    auto store = CudaStore::make(*api, *gpu, large);
    if (!store)
        return pass_on(store);
    auto pinned = CudaPinned::make(*api, large);
    if (!pinned)
        return pass_on(pinned);
    auto stream = CudaStream::make(*api);
    if (!stream)
        return pass_on(stream);
    const Ends ends{*api, std::move(*context), std::move(*store), std::move(*pinned), std::move(*stream)};
    std::vector<Raw> all;
    for (const auto measure : {pinned_copies, synchronous_copies})
        for (const bool to_gpu : {true, false}) {
            auto raw = measure(setting, ends, to_gpu);
            if (!raw)
                return pass_on(raw);
            all.push_back(std::move(*raw));
        }
    return all;
}

Result<std::string> measure_choice(const Setting& setting) {
    constexpr std::uint64_t capacity = 64ULL << 20;
    auto engine = make_cuda(setting, capacity);
    if (!engine)
        return pass_on(engine);
    const auto rig =
        Rig::make({.slots = 64, .slot_size = 128U << 10, .capacity = capacity}, **engine, std::chrono::microseconds(0));
    if (!rig)
        return std::unexpected(rig.error());
    return (*engine)->remarks();
}

Result<double> measure_idle(const Setting& setting) {
    auto engine = make_engine(setting, false);
    if (!engine)
        return pass_on(engine);
    constexpr std::uint64_t capacity = 64ULL << 20;
    if (auto open = (*engine)->open(capacity); !open)
        return pass_on(open);
    auto rig = Rig::make({.queues = setting.queues, .slots = 64, .slot_size = 128U << 10, .capacity = capacity},
                         **engine, usual_look);
    if (!rig)
        return pass_on(rig);
    const auto used = [] {
        timespec time{};
        ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
        return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
    };
    std::this_thread::sleep_for(100ms);
    const double before = used();
    const auto start = Clock::now();
    std::this_thread::sleep_for(2 * setting.time);
    return (used() - before) / seconds_since(start);
}

} // namespace vramswap::bench
