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

/// What it takes to overwrite one chunk after the other; in the order of its making. Does not move.
struct Means {
    CudaApi api;
    CudaGpu gpu;
    std::optional<CudaContext> context; ///< none if the thread has one
    std::optional<CudaRange> range;
    std::optional<CudaChunk> chunk;
    std::optional<CudaErrands> errands;
};

Result<void> have_context(Means& means) {
    cuda::Device device = 0;
    if (means.api.CtxGetDevice(&device) == Code::success && device == means.gpu.device)
        return {};
    auto context = CudaContext::make(means.api, means.gpu);
    if (!context)
        return pass_on(context);
    means.context.emplace(std::move(*context));
    return {};
}

/// With a context, but no addresses yet.
Result<std::unique_ptr<Means>> make_means(const std::string& gpu, const std::string& libcuda) {
    auto api = CudaApi::load(libcuda);
    if (!api)
        return pass_on(api);
    auto found = cuda_device_find(*api, gpu);
    if (!found)
        return pass_on(found);
    std::unique_ptr<Means> means(new Means{.api = *api, .gpu = std::move(*found)});
    if (auto context = have_context(*means); !context)
        return pass_on(context);
    return means;
}

/// For chunks of so many bytes and smaller ones.
Result<void> prepare(Means& means, std::uint64_t size) {
    auto range = CudaRange::make(means.api, size);
    if (!range)
        return pass_on(range);
    means.range.emplace(std::move(*range));
    auto errands = CudaErrands::make(means.api);
    if (!errands)
        return pass_on(errands);
    means.errands.emplace(std::move(*errands));
    return {};
}

Result<void> erase_chunk(Means& means, CudaStore::Remains& remains) {
    if (!remains.fd)
        return fail(ENOENT, "it was not kept");
    if (means.errands->hung())
        return means.errands->zero(means.range->address(), remains.size); // which only says so
    auto chunk =
        CudaChunk::adopt(means.api, means.gpu.device, means.range->address(), remains.size, std::move(remains.fd));
    if (!chunk)
        return pass_on(chunk);
    means.chunk.emplace(std::move(*chunk));
    auto erased = means.errands->zero(means.chunk->address(), means.chunk->size());
    if (!means.errands->hung())
        means.chunk.reset();
    return erased;
}

std::unexpected<Error> nothing_erased(const Error& why) {
    return fail(why.code, "all of it ({})", why.message);
}

} // namespace

Result<void> cuda_remains_erase(const std::string& gpu, std::uint64_t capacity, std::vector<InheritedFd>& inherited,
                                const std::string& libcuda) {
    auto means = make_means(gpu, libcuda);
    if (!means)
        return nothing_erased(means.error());
    auto remains = CudaStore::take_remains((*means)->api, (*means)->gpu, capacity, inherited);
    if (!remains)
        return nothing_erased(remains.error());
    const auto largest = std::ranges::max_element(*remains, {}, &CudaStore::Remains::size);
    if (auto prepared = prepare(**means, largest->size); !prepared)
        return nothing_erased(prepared.error());
    int code = 0;
    std::map<std::string, unsigned> left; // so many chunks for this reason
    for (CudaStore::Remains& one : *remains)
        if (auto erased = erase_chunk(**means, one); !erased) {
            ++left[erased.error().message];
            code = erased.error().code;
        }
    if ((*means)->errands->hung())
        (void)means->release(); // NOLINT(bugprone-unused-return-value): the GPU may be at it still
    if (left.empty())
        return {};
    std::string text;
    for (const auto& [why, chunks] : left)
        text += fmt::format("{}{} of {} chunks ({})", text.empty() ? "" : ", ", chunks, remains->size(), why);
    return fail(code, "{}", text);
}

} // namespace vramswap
