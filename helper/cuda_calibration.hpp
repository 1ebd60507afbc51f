// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <chrono>
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
};

/// The quickest path for each number of copies and direction. A path takes the place of one before it in the list only
/// if it is a tenth quicker: copy engines come first, for they take nothing from those who compute on the GPU.
[[nodiscard]] CudaPaths cuda_choose_paths(const std::vector<CudaTimes>& measured);

/// Measures all paths that this driver and, with `kernels`, this GPU have: some milliseconds, a fifth of a second at
/// most. `scratch` is room for cuda::most_pieces pages. Error EIO if the GPU does not do as told.
[[nodiscard]] Result<std::vector<CudaTimes>> cuda_measure_paths(const CudaApi& api, const CudaKernels* kernels,
                                                                cuda::Address scratch);

/// For people: "reads of 1 and 64 pages: engine 8.1 and 97.0 us, kernel ...; writes ...".
[[nodiscard]] std::string cuda_times_text(const std::vector<CudaTimes>& measured);

} // namespace vramswap
