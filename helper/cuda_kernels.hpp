// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <utility>

#include "cuda_api.hpp"
#include "cuda_piece.hpp"
#include "error.hpp"

namespace vramswap {

/// The two programs that run on the GPU itself, loaded and compiled for it.
class CudaKernels {
public:
    /// Compiles: takes tens of milliseconds unless the driver has kept it from an earlier time. Error ENOTSUP if this
    /// GPU cannot run them (they are for compute capability 7.5 and newer).
    [[nodiscard]] static Result<CudaKernels> make(const CudaApi& api);

    CudaKernels(const CudaKernels&) = delete;
    CudaKernels& operator=(const CudaKernels&) = delete;
    CudaKernels(CudaKernels&& other) noexcept
        : api_(other.api_), module_(std::exchange(other.module_, nullptr)), copy_(other.copy_), poll_(other.poll_) {}
    CudaKernels& operator=(CudaKernels&&) = delete;
    ~CudaKernels() {
        if (module_ != nullptr)
            (void)api_.ModuleUnload(module_);
    }

    /// Has the first `count` pieces copied, at once and in no order. `longest` is the length of the longest.
    [[nodiscard]] cuda::Code copy(cuda::Stream stream, cuda::Pieces& pieces, unsigned count,
                                  std::uint32_t longest) const noexcept;

    /// Starts `blocks` blocks of threads that copy what is posted in `entries` pieces at `mailbox`, and answer in as
    /// many words at `answers`, until they are told to end. `entries` is a multiple of `blocks`.
    [[nodiscard]] cuda::Code poll(cuda::Stream stream, cuda::Address mailbox, cuda::Address answers, unsigned entries,
                                  unsigned blocks) const noexcept;

private:
    CudaKernels(const CudaApi& api, cuda::Module module) noexcept : api_(api), module_(module) {}

    const CudaApi& api_;
    cuda::Module module_;
    cuda::Function copy_ = nullptr;
    cuda::Function poll_ = nullptr;
};

} // namespace vramswap
