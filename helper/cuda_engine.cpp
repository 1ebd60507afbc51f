// SPDX-License-Identifier: MIT
#include "cuda_engine.hpp"

#include <algorithm>
#include <cassert>
#include <cerrno>

#include "cuda_calibration.hpp"
#include "vramswap.h"

namespace vramswap {

using cuda::Code;

Result<std::unique_ptr<CudaEngine>> CudaEngine::make(const Wishes& wishes) {
    auto api = CudaApi::load(wishes.library);
    if (!api)
        return pass_on(api);
    const auto gpus = cuda_device_list(*api);
    if (!gpus)
        return std::unexpected(gpus.error());
    auto chosen = cuda_device_choose(*gpus, wishes.gpu);
    if (!chosen)
        return pass_on(chosen);
    std::unique_ptr<CudaEngine> engine(new CudaEngine(*api, std::move(*chosen), wishes.path));
    if (auto able = cuda_device_check(engine->api_, engine->gpu_); !able)
        return pass_on(able);
    auto context = CudaContext::make(engine->api_, engine->gpu_);
    if (!context)
        return pass_on(context);
    engine->context_.emplace(std::move(*context));
    if (auto prepared = engine->prepare_path(); !prepared)
        return pass_on(prepared);
    return engine;
}

/// What the path that was asked for needs; without a wish, what there is.
Result<void> CudaEngine::prepare_path() {
    if (path_ == CudaPath::engine)
        return {};
    if (path_ == CudaPath::batch) {
        if (api_.MemcpyBatchAsync == nullptr)
            return fail(ENOTSUP, "--cuda-path batch: NVIDIA's driver has no cuMemcpyBatchAsync; it came with CUDA 12.8 "
                                 "(driver 570)");
        return {};
    }
    int limited = 0;
    if (path_ == CudaPath::poll &&
        api_.DeviceGetAttribute(&limited, cuda::Attribute::kernel_exec_timeout, gpu_.device) == Code::success &&
        limited != 0)
        return fail(ENOTSUP,
                    "--cuda-path poll: {} drives a display, and programs on it are ended after a few seconds; "
                    "only a GPU without a display can run one for ever",
                    gpu_.text());
    auto kernels = CudaKernels::make(api_);
    if (kernels)
        kernels_.emplace(std::move(*kernels));
    else if (path_)
        return fail(ENOTSUP, "--cuda-path {}: {}", name_of(*path_), kernels.error().message);
    return {};
}

Result<void> CudaEngine::choose_paths() {
    if (path_) {
        paths_ = CudaPaths(*path_ == CudaPath::poll ? CudaPath::engine : *path_);
        remarks_ = fmt::format("the GPU copies by {}, as --cuda-path says", name_of(*path_));
        return {};
    }
    const auto measured = cuda_measure_paths(api_, kernels_ ? &*kernels_ : nullptr, store_->scratch());
    if (!measured)
        return fail(measured.error().code, "the GPU's ways to copy could not be measured: {}",
                    measured.error().message);
    paths_ = cuda_choose_paths(*measured);
    remarks_ = fmt::format("the GPU copies {} ({})", paths_.text(), cuda_times_text(*measured));
    return {};
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
    assert(staging_.bytes.empty());
    if (!store_)
        return fail(EINVAL, "the GPU has no store yet");
    Code code = api_.MemHostRegister(staging.data(), staging.size(),
                                     cuda::host_register_portable | cuda::host_register_device_map);
    if (code != Code::success)
        return fail(code == Code::out_of_memory ? ENOMEM : EIO,
                    "the GPU may not reach the memory that is shared with the kernel module: cuMemHostRegister says {}",
                    api_.text(code));
    staging_.bytes = staging;
    code = api_.MemHostGetDevicePointer(&staging_.address, staging.data(), 0);
    if (code != Code::success)
        return fail(EIO, "the GPU does not tell where it sees the memory that is shared with the kernel module: {}",
                    api_.text(code));
    return choose_paths();
}

void CudaEngine::unbind() noexcept {
    if (!staging_.bytes.empty())
        (void)api_.MemHostUnregister(staging_.bytes.data());
    staging_ = {};
}

Result<std::unique_ptr<Lane>> CudaEngine::lane(unsigned /*queue*/, unsigned depth) {
    if (!store_ || !context_ || staging_.bytes.empty())
        return fail(EINVAL, "the GPU has no store yet, or no staging");
    return CudaLane::make({.api = api_,
                           .context = context_->get(),
                           .kernels = kernels_ ? &*kernels_ : nullptr,
                           .paths = paths_,
                           .polling = path_ == CudaPath::poll,
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
