// SPDX-License-Identifier: MIT
// What the programs that run on the GPU (cuda_kernels.cpp) share with us.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "cuda_types.hpp"

namespace vramswap::cuda {

/// One copy as the kernels see it. Both addresses are the GPU's, and both they and the length are multiples of 16.
struct Piece {
    Address from = 0;
    Address to = 0;
    std::uint32_t length = 0; ///< bytes
    std::uint32_t turn = 0;   ///< of a poll_entry: written last; see CudaMailbox
};
static_assert(sizeof(Piece) == 24); // the kernels know it

/// Pieces that one launch takes: the parameters of a kernel may be 4 KiB, and these are a copy for each launch.
inline constexpr std::size_t most_pieces = 64;
using Pieces = std::array<Piece, most_pieces>;

/// A block of threads copies so many bytes, sixteen each, then ends (copy), or goes on to the next so many (poll).
inline constexpr unsigned copy_threads = 256;
inline constexpr unsigned copy_step = copy_threads * 16;
inline constexpr unsigned poll_threads = 512;

/// The length of a piece that tells the block of threads which comes to it to end.
inline constexpr std::uint32_t poll_stop = UINT32_MAX;

} // namespace vramswap::cuda
