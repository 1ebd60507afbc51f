// SPDX-License-Identifier: MIT
#include "engines.hpp"

#include <algorithm>
#include <cerrno>
#include <optional>

#include <unistd.h>

#include "checksum_engine.hpp"
#include "cuda_engine.hpp"
#include "cuda_remains.hpp"
#include "host_engine.hpp"
#include "policy.hpp"

namespace vramswap::engines {
namespace {

std::unexpected<Error> advise(const Error& why) {
    return fail(why.code,
                "{}; --gpu chooses another GPU, --cuda-path another way to copy, --engine host does without a GPU",
                why.message);
}

/// What the CUDA engine takes beside the bytes that it stores, and some more, bytes.
constexpr std::uint64_t cuda_extra = 2 * CudaStore::scratch_size;

std::uint64_t ram() {
    return static_cast<std::uint64_t>(::sysconf(_SC_PHYS_PAGES)) * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

Result<void> choose_capacity(const Config& config, Record& record, const std::optional<CudaStore::Memory>& vram) {
    MemorySizes sizes{.ram = ram()};
    if (vram)
        sizes.vram = vram->total;
    const auto capacity = policy::capacity(config, sizes, vram ? vram->free : 0);
    if (!capacity)
        return std::unexpected(capacity.error());
    record.capacity = *capacity;
    return {};
}

/// Says what became of a size that is not simply what the user wrote.
void tell_capacity(const Config& config, const Record& record, const Log& log) {
    const std::string asked = config.size ? config.size->text() : std::string(policy::default_size);
    const auto plain = parse_size(asked);
    if (!plain || *plain != record.capacity)
        log.notice("the device gets {}; the size that is asked for is {}", size_text(record.capacity), asked);
}

/// With checksums, if they are wished for. `ecc`: the memory notices by itself when a bit of it flips.
std::unique_ptr<Engine> checked(std::unique_ptr<Engine> engine, const Config& config, bool ecc) {
    if (!config.checksums.value_or(!ecc))
        return engine;
    return std::make_unique<ChecksumEngine>(
        std::move(engine), config.checksums ? "what is read is checked"
                                            : "what is read is checked, since this GPU's memory has no "
                                              "error correction, or it is off");
}

/// No other engine is tried. A GPU that is merely full is no reason to store in RAM, of which there is too little
/// already.
bool final(const Config& config, const Error& why) {
    return config.engine == EngineChoice::cuda || why.code == ENOMEM;
}

Result<std::unique_ptr<Engine>> sized(std::unique_ptr<CudaEngine> cuda, const Config& config, Record& record,
                                      std::uint64_t vram_taken, const Log& log) {
    auto memory = cuda->memory();
    if (!memory)
        return pass_on(memory);
    memory->free += vram_taken;
    memory->free -= std::min(memory->free, cuda_extra);
    if (auto chosen = choose_capacity(config, record, *memory); !chosen)
        return pass_on(chosen);
    if (vram_taken == 0)
        if (auto room = cuda->check_room(record.capacity); !room)
            return pass_on(room);
    tell_capacity(config, record, log);
    record.engine = EngineChoice::cuda;
    record.store = cuda->uuid();
    const bool ecc = cuda->has_ecc();
    return checked(std::move(cuda), config, ecc);
}

} // namespace

void preload(const Config& config) {
    if (config.engine != EngineChoice::host)
        CudaApi::preload();
}

Result<std::unique_ptr<Engine>> make(const Config& config, Record& record, std::uint64_t vram_taken, const Log& log) {
    if (config.engine != EngineChoice::host) {
        auto cuda = CudaEngine::make({.gpu = config.gpu, .path = config.cuda_path});
        if (cuda) {
            auto engine = sized(std::move(*cuda), config, record, vram_taken, log);
            return engine ? std::move(engine) : advise(engine.error());
        }
        if (final(config, cuda.error()))
            return advise(cuda.error());
        log.notice("the bytes go to host memory: {}", cuda.error().message);
    }
    if (auto chosen = choose_capacity(config, record, std::nullopt); !chosen)
        return pass_on(chosen);
    tell_capacity(config, record, log);
    record.engine = EngineChoice::host;
    record.store = config.store;
    return checked(std::make_unique<HostEngine>(config.store, log), config, true);
}

Result<std::unique_ptr<Engine>> resume(const Config& config, const Record& record, const Log& log) {
    if (record.engine == EngineChoice::host)
        return std::make_unique<ChecksumEngine>(std::make_unique<HostEngine>(record.store, log));
    if (!config.gpu.empty() && config.gpu != record.store)
        log.notice("contents in {} are taken over; --gpu counts again after an orderly stop", record.store);
    auto cuda = CudaEngine::make({.gpu = record.store, .contents = true, .tuning = record.tuning});
    if (!cuda)
        return pass_on(cuda);
    return std::make_unique<ChecksumEngine>(std::move(*cuda));
}

Result<void> fall_back(Config& config, const Record& record, const Error& why, const Log& log) {
    if (record.engine != EngineChoice::cuda)
        return std::unexpected(why);
    if (final(config, why))
        return advise(why);
    log.notice("the bytes go to host memory: {}", why.message);
    config.engine = EngineChoice::host;
    return {};
}

void erase(const Record& record, std::vector<InheritedFd>& inherited, const Log& log) {
    std::erase_if(inherited, [](const InheritedFd& one) { return one.name == ChecksumEngine::kept_name; });
    if (record.engine != EngineChoice::cuda)
        return;
    if (auto erased = cuda_remains_erase(record.store, record.capacity, inherited); !erased)
        log.warning("of what was stored in {} this could not be overwritten: {}", record.store, erased.error().message);
}

std::string_view memory_name(EngineChoice engine) {
    return engine == EngineChoice::cuda ? CudaStore::map_name : HostEngine::kept_name;
}

bool is_vram(const std::string& name) {
    return name.starts_with(CudaStore::chunk_name) && name != CudaStore::map_name;
}

} // namespace vramswap::engines
