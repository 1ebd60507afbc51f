// SPDX-License-Identifier: MIT
#include "cuda_engine.hpp"

#include <algorithm>
#include <cassert>
#include <cerrno>

#include "cuda_lane.hpp"
#include "vramswap.h"

namespace vramswap {

using cuda::Code;

Result<std::unique_ptr<CudaEngine>> CudaEngine::make(const std::string& gpu, const std::string& library) {
    auto api = CudaApi::load(library);
    if (!api)
        return pass_on(api);
    const auto gpus = cuda_device_list(*api);
    if (!gpus)
        return std::unexpected(gpus.error());
    auto chosen = cuda_device_choose(*gpus, gpu);
    if (!chosen)
        return pass_on(chosen);
    std::unique_ptr<CudaEngine> engine(new CudaEngine(*api, std::move(*chosen)));
    if (auto able = cuda_device_check(engine->api_, engine->gpu_); !able)
        return pass_on(able);
    auto context = CudaContext::make(engine->api_, engine->gpu_);
    if (!context)
        return pass_on(context);
    engine->context_.emplace(std::move(*context));
    return engine;
}

CudaEngine::~CudaEngine() {
    unbind();
}

std::string CudaEngine::label() const {
    const std::string place = fmt::format(" ({})", gpu_.pci);
    return gpu_.name.substr(0, VRAMSWAP_LABEL_SIZE - 1 - std::min<std::size_t>(place.size(), VRAMSWAP_LABEL_SIZE - 1)) +
           place;
}

Result<void> CudaEngine::open(std::uint64_t capacity) {
    auto store = CudaStore::make(api_, gpu_, capacity);
    if (!store)
        return pass_on(store);
    auto node = cuda_device_hold(gpu_);
    if (!node)
        return pass_on(node);
    store_.emplace(std::move(*store));
    node_ = std::move(*node);
    return {};
}

Result<void> CudaEngine::adopt(std::uint64_t capacity, std::vector<InheritedFd>& inherited) {
    if (const auto node = std::ranges::find(inherited, gpu_name, &InheritedFd::name); node != inherited.end())
        node_ = std::move(node->fd);
    auto store = CudaStore::adopt(api_, gpu_, capacity, inherited);
    if (!store)
        return pass_on(store);
    store_.emplace(std::move(*store));
    return {};
}

std::vector<KeptFd> CudaEngine::kept() const {
    if (!store_)
        return {};
    auto fds = store_->kept();
    if (node_) // before all that are worth nothing without it
        fds.insert(fds.begin(), {.name = std::string(gpu_name), .fd = node_.get()});
    return fds;
}

Result<void> CudaEngine::bind(std::span<std::byte> staging) {
    assert(staging_.empty());
    const Code code = api_.MemHostRegister(staging.data(), staging.size(),
                                           cuda::host_register_portable | cuda::host_register_device_map);
    if (code != Code::success)
        return fail(code == Code::out_of_memory ? ENOMEM : EIO,
                    "the GPU may not reach the memory that is shared with the kernel module: cuMemHostRegister says {}",
                    api_.text(code));
    staging_ = staging;
    return {};
}

void CudaEngine::unbind() noexcept {
    if (!staging_.empty())
        (void)api_.MemHostUnregister(staging_.data());
    staging_ = {};
}

Result<std::unique_ptr<Lane>> CudaEngine::lane(unsigned /*queue*/, unsigned depth) {
    if (!store_ || !context_ || staging_.empty())
        return fail(EINVAL, "the GPU has no store yet, or no staging");
    return CudaLane::make({.api = api_,
                           .context = context_->get(),
                           .store = store_->address(),
                           .capacity = store_->capacity(),
                           .scratch = store_->scratch(),
                           .staging = staging_,
                           .depth = depth});
}

Result<void> CudaEngine::erase() {
    return store_ ? store_->erase() : Result<void>();
}

} // namespace vramswap
