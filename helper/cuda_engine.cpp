// SPDX-License-Identifier: MIT
#include "cuda_engine.hpp"

#include <algorithm>
#include <cassert>
#include <cerrno>

#include "cuda_calibration.hpp"
#include "cuda_mailbox.hpp"
#include "vramswap.h"

namespace vramswap {

using cuda::Code;

namespace {

constexpr const char* no_batch = "NVIDIA's driver has no cuMemcpyBatchAsync; it came with CUDA 12.8 (driver 570)";
constexpr const char* polls_no_display =
    " drives a display, and programs on it are ended after a few seconds; only a GPU "
    "without a display can run one for ever";

bool drives_display(const CudaApi& api, const CudaGpu& gpu) {
    return cuda_device_attribute(api, gpu, cuda::Attribute::kernel_exec_timeout) != 0;
}

} // namespace

Result<std::unique_ptr<CudaEngine>> CudaEngine::make(const Wishes& wishes) {
    auto api = CudaApi::load(wishes.libcuda);
    if (!api)
        return pass_on(api);
    auto chosen = cuda_device_find(*api, wishes.gpu);
    if (!chosen)
        return pass_on(chosen);
    std::unique_ptr<CudaEngine> engine(new CudaEngine(*api, std::move(*chosen), wishes));
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

/// The path that was wished for cannot be had.
Result<void> CudaEngine::give_up_path(const std::string& why) {
    if (!contents_)
        return fail(ENOTSUP, "--cuda-path {}: {}", name_of(path_.value_or(CudaPath::engine)), why);
    remarks_ = fmt::format("the GPU copies by its copy engines, not as before ({}); contents are worth more", why);
    path_ = CudaPath::engine;
    paths_ = CudaPaths();
    return {};
}

/// What a predecessor's paths need.
Result<void> CudaEngine::prepare_known_paths() {
    path_ = paths_.polling() ? CudaPath::poll : CudaPath::engine;
    if (paths_.uses(CudaPath::batch) && api_.MemcpyBatchAsync == nullptr)
        return give_up_path(no_batch);
    if (!paths_.uses(CudaPath::kernel) && !paths_.polling())
        return {};
    if (paths_.polling() && drives_display(api_, gpu_))
        return give_up_path(gpu_.text() + polls_no_display);
    auto kernels = CudaKernels::make(api_);
    if (!kernels)
        return give_up_path(kernels.error().message);
    kernels_.emplace(std::move(*kernels));
    return {};
}

/// What the path that was wished for needs; without a wish, what there is.
Result<void> CudaEngine::prepare_path() {
    if (contents_)
        return prepare_known_paths();
    if (path_ == CudaPath::engine)
        return {};
    if (path_ == CudaPath::batch)
        return api_.MemcpyBatchAsync != nullptr ? Result<void>() : give_up_path(no_batch);
    if (path_ == CudaPath::poll && drives_display(api_, gpu_))
        return give_up_path(gpu_.text() + polls_no_display);
    auto kernels = CudaKernels::make(api_);
    if (kernels)
        kernels_.emplace(std::move(*kernels));
    return kernels || !path_ ? Result<void>() : give_up_path(kernels.error().message);
}

/// Once for all sessions.
Result<void> CudaEngine::choose_paths() {
    if (std::exchange(chosen_, true))
        return {};
    if (auto fits = check_polling(); !fits)
        return fits;
    if (contents_) {
        if (remarks_.empty())
            remarks_ = fmt::format("the GPU copies {}, as before", paths_.text());
        return {};
    }
    if (path_ == CudaPath::engine) {
        if (remarks_.empty())
            remarks_ = fmt::format("the GPU copies by {}, as --cuda-path says", name_of(*path_));
        return {};
    }
    std::vector<CudaPath> candidates{CudaPath::engine};
    if (path_)
        candidates.push_back(*path_);
    if (!path_ && api_.MemcpyBatchAsync != nullptr)
        candidates.push_back(CudaPath::batch);
    if (!path_ && kernels_)
        candidates.push_back(CudaPath::kernel);
    const auto measured = cuda_measure_paths(api_, kernels_ ? &*kernels_ : nullptr, candidates, store_->scratch());
    if (!measured)
        return std::unexpected(measured.error());
    if (path_ && measured->back().code != Code::success)
        return give_up_path(fmt::format("the driver refuses it, {}", api_.text(measured->back().code)));
    paths_ = path_ ? CudaPaths(*path_) : cuda_choose_paths(*measured);
    remarks_ = fmt::format("the GPU copies {} ({})", paths_.text(), cuda_times_text(api_, *measured));
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
    if (store_ && store_->hung())
        cuda_leave_hung_gpu(); // which may be at it still; and the driver would wait
    if (!staging_.bytes.empty())
        (void)api_.MemHostUnregister(staging_.bytes.data());
    staging_ = {};
    own_.clear();
}

/// Is there room for one more program that never ends? All of its blocks must run at once with all others', and two
/// streams of each lane, and one more, want queues of the driver's of their own (CUDA_DEVICE_MAX_CONNECTIONS).
Result<void> CudaEngine::check_polling() {
    constexpr std::size_t most_lanes = 15;
    if (path_ != CudaPath::poll)
        return {};
    const int processors = cuda_device_attribute(api_, gpu_, cuda::Attribute::multiprocessor_count);
    if ((own_.size() + 1) * CudaMailbox::blocks > static_cast<std::size_t>(processors))
        return give_up_path(fmt::format("{} has {} multiprocessors, and each queue takes {}; choose another path, or "
                                        "fewer queues (the module's parameter)",
                                        gpu_.text(), processors, CudaMailbox::blocks));
    if (own_.size() == most_lanes)
        return give_up_path(fmt::format("it is for {} queues at most (the module's parameter)", most_lanes));
    return {};
}

Result<std::unique_ptr<Lane>> CudaEngine::lane(unsigned /*queue*/, unsigned depth) {
    if (!store_ || !context_ || staging_.bytes.empty())
        return fail(EINVAL, "the GPU has no store yet, or no staging");
    if (auto fits = check_polling(); !fits)
        return pass_on(fits);
    auto own = CudaPinned::make(api_, CudaLane::own_room);
    if (!own)
        return pass_on(own);
    own_.push_back(std::move(*own));
    return CudaLane::make({.api = api_,
                           .context = context_->get(),
                           .kernels = kernels_ ? &*kernels_ : nullptr,
                           .paths = paths_,
                           .store = store_->address(),
                           .capacity = store_->capacity(),
                           .scratch = store_->scratch(),
                           .staging = staging_,
                           .own = {.bytes = own_.back().bytes(), .address = own_.back().address()},
                           .depth = depth});
}

Result<void> CudaEngine::erase() {
    return store_ ? store_->erase() : Result<void>();
}

} // namespace vramswap
