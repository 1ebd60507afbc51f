// SPDX-License-Identifier: MIT
// Programs for the fake GPU, and copies by the batch.
#pragma once

#include <cstddef>

#include <helper/cuda_types.hpp>

extern "C" {

vramswap::cuda::Code cuMemcpyBatchAsync(vramswap::cuda::Address* to, vramswap::cuda::Address* from, std::size_t* sizes,
                                        std::size_t count, vramswap::cuda::CopyAttributes* attributes,
                                        std::size_t* first, std::size_t attribute_count, std::size_t* failed,
                                        vramswap::cuda::Stream stream);
vramswap::cuda::Code cuModuleLoadData(vramswap::cuda::Module* module, const void* image);
vramswap::cuda::Code cuModuleUnload(vramswap::cuda::Module module);
vramswap::cuda::Code cuModuleGetFunction(vramswap::cuda::Function* function, vramswap::cuda::Module module,
                                         const char* name);
vramswap::cuda::Code cuLaunchKernel(vramswap::cuda::Function function, unsigned blocks_x, unsigned blocks_y,
                                    unsigned blocks_z, unsigned threads_x, unsigned threads_y, unsigned threads_z,
                                    unsigned shared, vramswap::cuda::Stream stream, void** arguments, void** extra);
}
