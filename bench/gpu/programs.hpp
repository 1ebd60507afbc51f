// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include <helper/cuda_api.hpp>
#include <helper/cuda_memory.hpp>

#include "setting.hpp"

namespace vramswap::bench {

/// Programs of the bench's own for the GPU, and a stream for them, in the context of the thread that makes them; to be
/// used there.
class Programs {
public:
    /// Error ENOTSUP if this GPU does not run them; a fake one does not.
    [[nodiscard]] static Result<std::unique_ptr<Programs>> make(const std::string& libcuda);

    /// Starts `blocks` blocks of 256 threads that compute for so many rounds, and in the end write nothing; `room` is
    /// an address of VRAM where they could.
    [[nodiscard]] cuda::Code compute(unsigned blocks, std::uint32_t rounds, cuda::Address room) const;

    /// Has one thread of the GPU write to where nothing is, and waits for what becomes of it: the context is broken.
    [[nodiscard]] cuda::Code fault() const;

    [[nodiscard]] cuda::Code wait() const { return api_.StreamSynchronize(stream()); }
    [[nodiscard]] std::string text(cuda::Code code) const { return api_.text(code); }

private:
    explicit Programs(const CudaApi& api) : api_(api) {}

    [[nodiscard]] cuda::Stream stream() const { return stream_.value().get(); }

    CudaApi api_;
    std::optional<CudaStream> stream_; // always there, but for a moment in make
    cuda::Function compute_ = nullptr;
    cuda::Function fault_ = nullptr;
};

/// Is this driver the tests' own? It runs no programs.
[[nodiscard]] bool is_fake(const std::string& libcuda);

/// Breaks the context in the fake driver: its fault sticky_at, a moment from now.
void break_fake(const std::string& libcuda);

} // namespace vramswap::bench
