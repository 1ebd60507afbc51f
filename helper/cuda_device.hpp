// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cuda_api.hpp"
#include "error.hpp"
#include "fd.hpp"

namespace vramswap {

/// A GPU as its owner knows it.
struct CudaGpu {
    cuda::Device device = 0;
    cuda::Uuid uuid;
    std::string name; ///< of the model
    std::string pci;  ///< "0000:01:00.0", lower case

    /// For people: what it is and where.
    [[nodiscard]] std::string text() const { return name + " (" + pci + ")"; }
};

/// "GPU-01234567-89ab-cdef-0123-456789abcdef", as nvidia-smi -L shows it.
[[nodiscard]] std::string cuda_uuid_text(const cuda::Uuid& uuid);

/// All GPUs that CUDA shows, in the order of their PCI addresses: that of nvidia-smi, and steady.
[[nodiscard]] Result<std::vector<CudaGpu>> cuda_device_list(const CudaApi& api);

/// The one that `wanted` names: by index into `gpus`, UUID or PCI address; empty names the first. Error ENODEV, with a
/// sentence that lists what there is.
[[nodiscard]] Result<CudaGpu> cuda_device_choose(const std::vector<CudaGpu>& gpus, std::string_view wanted);

/// The same among all that there are. Errors of both.
[[nodiscard]] Result<CudaGpu> cuda_device_find(const CudaApi& api, std::string_view wanted);

/// What the driver says of a GPU; zero if it says nothing.
[[nodiscard]] int cuda_device_attribute(const CudaApi& api, const CudaGpu& gpu, cuda::Attribute attribute);

/// Can it do what we need: memory that is mapped by chunks and outlives a process? Error ENOTSUP with what it lacks.
[[nodiscard]] Result<void> cuda_device_check(const CudaApi& api, const CudaGpu& gpu);

/// An open /dev/nvidiaN of this GPU. While one is open, whoever has it, the driver does not tear the GPU down when its
/// last user leaves, which would take the VRAM's contents. None where the driver has no such files at all (`proc` is
/// not there); otherwise an error if it cannot be had. The folders are parameters for tests.
[[nodiscard]] Result<Fd> cuda_device_hold(const CudaGpu& gpu, const std::string& proc = "/proc/driver/nvidia/gpus",
                                          const std::string& dev = "/dev");

/// A context: our share of a GPU. It is current in the thread that makes it, and is to be destroyed there.
class CudaContext {
public:
    /// Errors EBUSY (another process has the GPU for itself), EPERM (nobody may use it), ENOMEM (no VRAM left for a
    /// context), EIO.
    [[nodiscard]] static Result<CudaContext> make(const CudaApi& api, const CudaGpu& gpu);

    CudaContext(const CudaContext&) = delete;
    CudaContext& operator=(const CudaContext&) = delete;
    CudaContext(CudaContext&& other) noexcept : api_(other.api_), context_(std::exchange(other.context_, nullptr)) {}
    CudaContext& operator=(CudaContext&&) = delete;
    ~CudaContext() {
        if (context_ != nullptr)
            (void)api_.CtxDestroy(context_);
    }

    [[nodiscard]] cuda::Context get() const noexcept { return context_; }

private:
    CudaContext(const CudaApi& api, cuda::Context context) noexcept : api_(api), context_(context) {}

    const CudaApi& api_;
    cuda::Context context_;
};

} // namespace vramswap
