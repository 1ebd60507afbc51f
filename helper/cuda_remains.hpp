// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cuda_api.hpp"
#include "engine.hpp"
#include "error.hpp"

namespace vramswap {

/// Overwrites `capacity` bytes of VRAM that a predecessor left and nobody wants any more, and takes them out of
/// `inherited`. Each chunk that can be had is overwritten, whatever became of the others, of their map and of the mark.
/// `gpu`: its UUID.
///
/// The error tells how much was not overwritten, and why: "1 of 3 chunks (it was not kept)".
///
/// Works in the context that this thread has, if that is one of the same GPU, and makes another only if not: that one
/// would take memory, and be refused where a GPU is for one program alone.
///
/// A GPU that hangs is left alone: what it was given stays as it is for as long as this process lives.
[[nodiscard]] Result<void> cuda_remains_erase(const std::string& gpu, std::uint64_t capacity,
                                              std::vector<InheritedFd>& inherited,
                                              const std::string& libcuda = CudaApi::library_name);

} // namespace vramswap
