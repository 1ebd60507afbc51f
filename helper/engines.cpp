// SPDX-License-Identifier: MIT
#include "engines.hpp"

#include <cerrno>

#include "cuda_engine.hpp"
#include "host_engine.hpp"

namespace vramswap::engines {
namespace {

constexpr std::string_view advice =
    "--gpu chooses another GPU, --cuda-path another way to copy, --engine host does without a GPU";

Result<std::unique_ptr<Engine>> make_cuda(const Config& config, Record& record, bool vram_taken) {
    auto cuda = CudaEngine::make({.gpu = config.gpu, .path = config.cuda_path});
    if (!cuda)
        return pass_on(cuda);
    if (!vram_taken)
        if (auto room = (*cuda)->check_room(record.capacity); !room)
            return pass_on(room);
    record.engine = EngineChoice::cuda;
    record.store = (*cuda)->uuid();
    return std::move(*cuda);
}

} // namespace

void preload(const Config& config) {
    if (config.engine != EngineChoice::host)
        CudaApi::preload();
}

Result<std::unique_ptr<Engine>> make(const Config& config, Record& record, bool vram_taken, const Log& log) {
    if (config.engine != EngineChoice::host) {
        auto cuda = make_cuda(config, record, vram_taken);
        if (cuda)
            return cuda;
        if (config.engine == EngineChoice::cuda)
            return fail(cuda.error().code, "{}; {}", cuda.error().message, advice);
        log.notice("the bytes go to host memory: {}", cuda.error().message);
    }
    record.engine = EngineChoice::host;
    record.store = config.store;
    return std::make_unique<HostEngine>(config.store, log);
}

Result<std::unique_ptr<Engine>> resume(const Config& config, const Record& record, const Log& log) {
    if (record.engine == EngineChoice::host)
        return std::make_unique<HostEngine>(record.store, log);
    if (!config.gpu.empty() && config.gpu != record.store)
        log.notice("contents in {} are taken over; --gpu counts again after an orderly stop", record.store);
    auto cuda = CudaEngine::make({.gpu = record.store, .path = config.cuda_path, .contents = true});
    if (!cuda)
        return pass_on(cuda);
    return std::move(*cuda);
}

Result<void> fall_back(Config& config, const Record& record, const Error& why, const Log& log) {
    if (record.engine != EngineChoice::cuda)
        return std::unexpected(why);
    if (config.engine == EngineChoice::cuda)
        return fail(why.code, "{}; {}", why.message, advice);
    log.notice("the bytes go to host memory: {}", why.message);
    config.engine = EngineChoice::host;
    return {};
}

void erase(const Record& record, std::vector<InheritedFd>& inherited, const Log& log) {
    if (record.engine != EngineChoice::cuda)
        return;
    auto cuda = CudaEngine::make({.gpu = record.store, .path = CudaPath::engine});
    const auto erased =
        cuda ? in_turn([&] { return (*cuda)->adopt(record.capacity, inherited); }, [&] { return (*cuda)->erase(); })
             : pass_on(cuda);
    if (!erased)
        log.warning("what was stored in {} could not be overwritten: {}", record.store, erased.error().message);
}

std::string_view memory_name(EngineChoice engine) {
    return engine == EngineChoice::cuda ? CudaStore::map_name : HostEngine::kept_name;
}

} // namespace vramswap::engines
