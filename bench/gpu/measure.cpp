// SPDX-License-Identifier: MIT
#include "measure.hpp"

#include <cerrno>
#include <ctime>
#include <thread>

#include <helper/checksum_engine.hpp>
#include <helper/cuda_calibration.hpp>
#include <helper/cuda_engine.hpp>
#include <helper/host_engine.hpp>

#include "bare.hpp"

namespace vramswap::bench {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

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

Result<std::unique_ptr<Engine>> with_checksums([[maybe_unused]] std::unique_ptr<Engine> engine) {
#ifdef VRAMSWAP_BENCH_CHECKSUMS
    return std::make_unique<ChecksumEngine>(std::move(engine), "what is read is checked");
#else
    return fail(ENOTSUP, "gpu_bench was built without xxhash.h");
#endif
}

Result<std::unique_ptr<Engine>> make_engine(const Setting& setting, bool host) {
    if (host)
        return std::make_unique<HostEngine>("", Log::to_standard_error());
    auto cuda = make_cuda(setting, 0);
    if (!cuda)
        return pass_on(cuda);
    if (setting.checksums)
        return with_checksums(std::move(*cuda));
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
               .outcome = outcome};
}

} // namespace

Result<Loads> measure_loads(const Setting& setting, bool host) {
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
    Loads loads;
    for (const Case& one : cases(setting.queues)) {
        auto row = measure(setting, **engine, model, one);
        if (!row)
            return pass_on(row);
        row->engine = host ? "host" : engine_text(setting);
        loads.rows.push_back(std::move(*row));
    }
    loads.remarks = (*engine)->remarks();
    return loads;
}

Result<std::vector<Crossover>> measure_crossover(const Setting& setting) {
    const auto bare = BareGpu::make(setting, 64ULL << 20);
    if (!bare)
        return std::unexpected(bare.error());
    const CudaApi& api = (*bare)->api;
    const auto kernels = CudaKernels::make(api);
    std::vector<CudaPath> paths{CudaPath::engine};
    if (api.MemcpyBatchAsync != nullptr)
        paths.push_back(CudaPath::batch);
    if (kernels)
        paths.push_back(CudaPath::kernel);
    const auto measured = cuda_measure_paths(api, kernels ? &*kernels : nullptr, paths, (*bare)->store().scratch());
    if (!measured)
        return std::unexpected(measured.error());
    std::vector<Crossover> all;
    for (const CudaTimes& times : *measured) {
        Crossover one{.path = path_text(times.path)};
        for (std::size_t i = 0; i < CudaPaths::sizes; ++i) {
            one.reads.at(i) = static_cast<std::uint64_t>(times.reads.at(i).count());
            one.writes.at(i) = static_cast<std::uint64_t>(times.writes.at(i).count());
        }
        all.push_back(std::move(one));
    }
    return all;
}

Result<std::optional<double>> measure_idle(const Setting& setting) {
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
    return (used() - before) / std::chrono::duration<double>(Clock::now() - start).count();
}

} // namespace vramswap::bench
