// SPDX-License-Identifier: MIT
// How much of the fake GPU's memory is taken: by all processes, and for as long as a descriptor or a mapping of it is
// anywhere, in a keeper's hands or on its way there.
//
// The kernel does the counting. A piece of VRAM is a memfd with a lock of its open file (F_OFD_SETLK), which the kernel
// drops when the last descriptor and the last mapping of that file are gone; /proc/locks shows all locks there are. The
// lock's place says which GPU it is of, and its length how many granules.
#pragma once

#include <cstddef>

namespace vramswap::fake_cuda {

/// What cuMemCreate and cuMemMap count in, bytes; that of today's GPUs.
inline constexpr std::size_t granule = 2UL << 20;

/// `fd` has `size` bytes of the GPU that VRAMSWAP_FAKE_CUDA_GPU names (any text): processes with the same name have one
/// GPU, those without a name too. False if it could not be noted.
[[nodiscard]] bool vram_take(int fd, std::size_t size);

/// Bytes of that GPU that are taken.
[[nodiscard]] std::size_t vram_taken();

} // namespace vramswap::fake_cuda
