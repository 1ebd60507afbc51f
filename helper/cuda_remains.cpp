// SPDX-License-Identifier: MIT
#include "cuda_remains.hpp"

#include <algorithm>
#include <cerrno>
#include <map>
#include <memory>
#include <optional>

#include "cuda_device.hpp"
#include "cuda_memory.hpp"
#include "cuda_store.hpp"

namespace vramswap {
namespace {

using cuda::Code;

/// A GPU of which this thread has a context. Does not move.
struct Reach {
    Reach(const CudaApi& driver, CudaGpu found) : api(driver), gpu(std::move(found)) {}

    CudaApi api;
    CudaGpu gpu;
    std::optional<CudaContext> context; ///< none if the thread had one
};

/// What it takes to overwrite one chunk after the other.
struct Means {
    std::unique_ptr<Reach> reach;
    CudaRange range; ///< for the largest
    std::unique_ptr<CudaChunk> chunk;
    CudaErrands errands;
};

bool has_context(const Reach& reach) {
    cuda::Device device = 0;
    return reach.api.CtxGetDevice(&device) == Code::success && device == reach.gpu.device;
}

Result<std::unique_ptr<Reach>> reach_gpu(const std::string& name, const std::string& libcuda) {
    auto api = CudaApi::load(libcuda);
    if (!api)
        return pass_on(api);
    auto gpu = cuda_device_find(*api, name);
    if (!gpu)
        return pass_on(gpu);
    auto reach = std::make_unique<Reach>(*api, std::move(*gpu));
    if (has_context(*reach))
        return reach;
    auto context = CudaContext::make(reach->api, reach->gpu);
    if (!context)
        return pass_on(context);
    reach->context.emplace(std::move(*context));
    return reach;
}

/// For chunks of so many bytes and smaller ones.
Result<std::unique_ptr<Means>> make_means(std::unique_ptr<Reach> reach, std::uint64_t size) {
    auto range = CudaRange::make(reach->api, size);
    if (!range)
        return pass_on(range);
    auto errands = CudaErrands::make(reach->api);
    if (!errands)
        return pass_on(errands);
    return std::make_unique<Means>(std::move(reach), std::move(*range), nullptr, std::move(*errands));
}

Result<void> erase_chunk(Means& means, CudaStore::Remains& remains) {
    if (!remains.fd)
        return fail(ENOENT, "it was not kept");
    if (means.errands.hung())
        return means.errands.zero(means.range.address(), remains.size); // which only says so
    auto adopted = CudaChunk::adopt(means.reach->api, means.reach->gpu.device, means.range.address(), remains.size,
                                    std::move(remains.fd));
    if (!adopted)
        return pass_on(adopted);
    means.chunk = std::make_unique<CudaChunk>(std::move(*adopted));
    auto erased = means.errands.zero(means.chunk->address(), means.chunk->size());
    if (!means.errands.hung())
        means.chunk.reset();
    return erased;
}

std::unexpected<Error> nothing_erased(const Error& why) {
    return fail(why.code, "all of it ({})", why.message);
}

} // namespace

Result<void> cuda_remains_erase(const std::string& gpu, std::uint64_t capacity, std::vector<InheritedFd>& inherited,
                                const std::string& libcuda) {
    auto reach = reach_gpu(gpu, libcuda);
    if (!reach)
        return nothing_erased(reach.error());
    auto remains = CudaStore::take_remains((*reach)->api, (*reach)->gpu, capacity, inherited);
    if (!remains)
        return nothing_erased(remains.error());
    const auto largest = std::ranges::max_element(*remains, {}, &CudaStore::Remains::size);
    auto means = make_means(std::move(*reach), largest->size);
    if (!means)
        return nothing_erased(means.error());
    int code = 0;
    std::map<std::string, unsigned> left; // so many chunks for this reason
    for (CudaStore::Remains& one : *remains)
        if (auto erased = erase_chunk(**means, one); !erased) {
            ++left[erased.error().message];
            code = erased.error().code;
        }
    if ((*means)->errands.hung())
        (void)means->release(); // NOLINT(bugprone-unused-return-value): the GPU may be at it still
    if (left.empty())
        return {};
    std::string text;
    for (const auto& [why, chunks] : left)
        text += fmt::format("{}{} of {} chunks ({})", text.empty() ? "" : ", ", chunks, remains->size(), why);
    return fail(code, "{}", text);
}

} // namespace vramswap
