// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <chrono>
#include <span>
#include <string>
#include <vector>

#include "cuda_api.hpp"
#include "cuda_kernels.hpp"
#include "cuda_path.hpp"
#include "cuda_streams.hpp"
#include "error.hpp"

namespace vramswap {

/// What was measured of one path: how long 1, 2, 4 ... pages take that are copied at once, from the first call until
/// all are known to be there. Zero: not measured.
struct CudaTimes {
    using Row = std::array<std::chrono::nanoseconds, CudaPaths::sizes>;

    CudaPath path = CudaPath::engine;
    Row reads{};
    Row writes{};
    cuda::Code code = cuda::Code::success; ///< why it cannot be used
};

/// The quickest path for each number of copies and direction. A path takes the place of one before it in the list only
/// if it is a tenth quicker: copy engines come first, for they take nothing from those who compute on the GPU. A number
/// for which not all paths were measured goes as the next smaller one; if none was, by copy engines.
[[nodiscard]] CudaPaths cuda_choose_paths(const std::vector<CudaTimes>& measured);

/// Measures these paths: some milliseconds, and a fifth of a second with a slow GPU, which is then not measured to the
/// end. `scratch` is room for cuda::most_pieces pages. A path that the driver refuses has the reason in its times; that
/// is an error, EIO, only of CudaPath::engine. Does not return if the GPU hangs.
[[nodiscard]] Result<std::vector<CudaTimes>> cuda_measure_paths(const CudaApi& api, const CudaKernels* kernels,
                                                                std::span<const CudaPath> candidates,
                                                                cuda::Address scratch);

/// For people: "reads of 1 and 64 pages: engine 8.1 and 97.0 us, kernel ...; writes ...". "?" was not measured.
[[nodiscard]] std::string cuda_times_text(const CudaApi& api, const std::vector<CudaTimes>& measured);

} // namespace vramswap
