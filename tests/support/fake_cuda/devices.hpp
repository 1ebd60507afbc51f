// SPDX-License-Identifier: MIT
// Start, devices and contexts.
#pragma once

#include <helper/cuda_types.hpp>

extern "C" {

vramswap::cuda::Code cuInit(unsigned flags);
vramswap::cuda::Code cuDriverGetVersion(int* version);
vramswap::cuda::Code cuGetErrorName(vramswap::cuda::Code code, const char** name);
vramswap::cuda::Code cuDeviceGetCount(int* count);
vramswap::cuda::Code cuDeviceGet(vramswap::cuda::Device* device, int ordinal);
vramswap::cuda::Code cuDeviceGetName(char* name, int length, vramswap::cuda::Device device);
vramswap::cuda::Code cuDeviceGetUuid_v2(vramswap::cuda::Uuid* uuid, vramswap::cuda::Device device);
vramswap::cuda::Code cuDeviceGetPCIBusId(char* id, int length, vramswap::cuda::Device device);
vramswap::cuda::Code cuDeviceGetAttribute(int* value, vramswap::cuda::Attribute attribute,
                                          vramswap::cuda::Device device);
vramswap::cuda::Code cuCtxCreate_v2(vramswap::cuda::Context* context, unsigned flags, vramswap::cuda::Device device);
vramswap::cuda::Code cuCtxDestroy_v2(vramswap::cuda::Context context);
vramswap::cuda::Code cuCtxSetCurrent(vramswap::cuda::Context context);
vramswap::cuda::Code cuCtxGetDevice(vramswap::cuda::Device* device);
}
