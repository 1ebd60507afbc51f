// SPDX-License-Identifier: MIT
#pragma once

#include <memory>
#include <optional>

#include <helper/cuda_api.hpp>
#include <helper/cuda_device.hpp>
#include <helper/cuda_store.hpp>

#include "setting.hpp"

namespace vramswap::bench {

/// A share of a GPU without anything of ours around it. The context is the calling thread's.
struct BareGpu {
    /// With so many bytes of VRAM, all zero.
    [[nodiscard]] static Result<std::unique_ptr<BareGpu>> make(const Setting& setting, std::uint64_t bytes);

    explicit BareGpu(const CudaApi& driver) : api(driver) {}

    CudaApi api; ///< which the others borrow
    CudaGpu gpu;
    [[nodiscard]] const CudaContext& context() const { return context_.value(); }
    [[nodiscard]] const CudaStore& store() const { return store_.value(); }

private:
    std::optional<CudaContext> context_;
    std::optional<CudaStore> store_;
};

} // namespace vramswap::bench
