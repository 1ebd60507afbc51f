// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>

#include "cuda_api.hpp"
#include "cuda_copier.hpp"
#include "cuda_kernels.hpp"
#include "cuda_mailbox.hpp"
#include "cuda_streams.hpp"
#include "error.hpp"

namespace vramswap {

/// Host memory that any copier needs for its words, bytes.
inline constexpr std::size_t cuda_copier_words = std::max(CudaStreams::words_room, CudaMailbox::room_for_all);

/// The copier for these paths. Borrows `kernels`, which may be null if no path leads there, and `words`,
/// cuda_copier_words zero bytes at least. `room`: copies under way in each direction; a mailbox has its own.
[[nodiscard]] Result<std::unique_ptr<CudaCopier>> cuda_make_copier(const CudaApi& api, const CudaKernels* kernels,
                                                                   const CudaPaths& paths, const CudaReach& words,
                                                                   std::size_t room);

} // namespace vramswap
