// SPDX-License-Identifier: MIT
// Our declarations of the CUDA Driver API against NVIDIA's, where the latter are present. Nothing here runs but the
// last test, which says whether they were.
#include "catch.hpp"

#include <cstddef>

#include <helper/cuda_api.hpp>
#include <helper/cuda_types.hpp>

#if __has_include(<cuda.h>)

#include <cuda.h>

namespace {

using namespace vramswap;

/// Values of theirs and ours, as plain numbers.
template<class Ours, class Theirs>
constexpr bool same(Ours ours, Theirs theirs) {
    return static_cast<unsigned long long>(ours) == static_cast<unsigned long long>(theirs);
}

static_assert(sizeof(cuda::Code) == sizeof(CUresult));
static_assert(same(cuda::Code::success, CUDA_SUCCESS));
static_assert(same(cuda::Code::invalid_value, CUDA_ERROR_INVALID_VALUE));
static_assert(same(cuda::Code::out_of_memory, CUDA_ERROR_OUT_OF_MEMORY));
static_assert(same(cuda::Code::not_initialized, CUDA_ERROR_NOT_INITIALIZED));
static_assert(same(cuda::Code::device_unavailable, CUDA_ERROR_DEVICE_UNAVAILABLE));
static_assert(same(cuda::Code::no_device, CUDA_ERROR_NO_DEVICE));
static_assert(same(cuda::Code::invalid_device, CUDA_ERROR_INVALID_DEVICE));
static_assert(same(cuda::Code::invalid_context, CUDA_ERROR_INVALID_CONTEXT));
static_assert(same(cuda::Code::no_binary_for_gpu, CUDA_ERROR_NO_BINARY_FOR_GPU));
static_assert(same(cuda::Code::invalid_ptx, CUDA_ERROR_INVALID_PTX));
static_assert(same(cuda::Code::invalid_handle, CUDA_ERROR_INVALID_HANDLE));
static_assert(same(cuda::Code::not_found, CUDA_ERROR_NOT_FOUND));
static_assert(same(cuda::Code::not_ready, CUDA_ERROR_NOT_READY));
static_assert(same(cuda::Code::illegal_address, CUDA_ERROR_ILLEGAL_ADDRESS));
static_assert(same(cuda::Code::already_registered, CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED));
static_assert(same(cuda::Code::not_registered, CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED));
static_assert(same(cuda::Code::launch_failed, CUDA_ERROR_LAUNCH_FAILED));
static_assert(same(cuda::Code::not_supported, CUDA_ERROR_NOT_SUPPORTED));
static_assert(same(cuda::Code::system_driver_mismatch, CUDA_ERROR_SYSTEM_DRIVER_MISMATCH));
static_assert(same(cuda::Code::unknown, CUDA_ERROR_UNKNOWN));

static_assert(same(cuda::Attribute::multiprocessor_count, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT));
static_assert(same(cuda::Attribute::kernel_exec_timeout, CU_DEVICE_ATTRIBUTE_KERNEL_EXEC_TIMEOUT));
static_assert(same(cuda::Attribute::integrated, CU_DEVICE_ATTRIBUTE_INTEGRATED));
static_assert(same(cuda::Attribute::compute_mode, CU_DEVICE_ATTRIBUTE_COMPUTE_MODE));
static_assert(same(cuda::Attribute::host_register_supported, CU_DEVICE_ATTRIBUTE_HOST_REGISTER_SUPPORTED));
static_assert(same(cuda::Attribute::virtual_memory, CU_DEVICE_ATTRIBUTE_VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED));
static_assert(same(cuda::Attribute::posix_fd_handles, CU_DEVICE_ATTRIBUTE_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR_SUPPORTED));

static_assert(same(cuda::compute_mode_prohibited, CU_COMPUTEMODE_PROHIBITED));
static_assert(same(cuda::compute_mode_exclusive_process, CU_COMPUTEMODE_EXCLUSIVE_PROCESS));
static_assert(same(cuda::ctx_sched_spin, CU_CTX_SCHED_SPIN));
static_assert(same(cuda::ctx_map_host, CU_CTX_MAP_HOST));
static_assert(same(cuda::stream_non_blocking, CU_STREAM_NON_BLOCKING));
static_assert(same(cuda::stream_write_default, CU_STREAM_WRITE_VALUE_DEFAULT));
static_assert(same(cuda::host_register_portable, CU_MEMHOSTREGISTER_PORTABLE));
static_assert(same(cuda::host_register_device_map, CU_MEMHOSTREGISTER_DEVICEMAP));
static_assert(same(cuda::host_alloc_portable, CU_MEMHOSTALLOC_PORTABLE));
static_assert(same(cuda::host_alloc_device_map, CU_MEMHOSTALLOC_DEVICEMAP));
static_assert(same(cuda::allocation_pinned, CU_MEM_ALLOCATION_TYPE_PINNED));
static_assert(same(cuda::handle_posix_fd, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR));
static_assert(same(cuda::location_device, CU_MEM_LOCATION_TYPE_DEVICE));
static_assert(same(cuda::access_read_write, CU_MEM_ACCESS_FLAGS_PROT_READWRITE));
static_assert(same(cuda::granularity_minimum, CU_MEM_ALLOC_GRANULARITY_MINIMUM));
static_assert(same(cuda::proc_legacy_stream, CU_GET_PROC_ADDRESS_LEGACY_STREAM));

static_assert(sizeof(cuda::Device) == sizeof(CUdevice));
static_assert(sizeof(cuda::Address) == sizeof(CUdeviceptr));
static_assert(sizeof(cuda::MemoryHandle) == sizeof(CUmemGenericAllocationHandle));
static_assert(sizeof(cuda::Uuid) == sizeof(CUuuid));
static_assert(sizeof(cuda::Module) == sizeof(CUmodule));
static_assert(sizeof(cuda::Function) == sizeof(CUfunction));
static_assert(sizeof(cuda::Location) == sizeof(CUmemLocation));
static_assert(offsetof(cuda::Location, id) == offsetof(CUmemLocation, id));
static_assert(sizeof(cuda::AccessDesc) == sizeof(CUmemAccessDesc));
static_assert(offsetof(cuda::AccessDesc, flags) == offsetof(CUmemAccessDesc, flags));
static_assert(sizeof(cuda::AllocationProp) == sizeof(CUmemAllocationProp));
static_assert(offsetof(cuda::AllocationProp, handle_types) == offsetof(CUmemAllocationProp, requestedHandleTypes));
static_assert(offsetof(cuda::AllocationProp, location) == offsetof(CUmemAllocationProp, location));
static_assert(offsetof(cuda::AllocationProp, windows_data) == offsetof(CUmemAllocationProp, win32HandleMetaData));
static_assert(offsetof(cuda::AllocationProp, flags) == offsetof(CUmemAllocationProp, allocFlags));

/// Do two functions take and give as many values, each as wide as the other's?
template<class Ours, class Theirs>
inline constexpr bool alike = false;
template<class Result, class... Arguments, class TheirResult, class... TheirArguments>
inline constexpr bool alike<Result (*)(Arguments...), TheirResult (*)(TheirArguments...)> = [] {
    if constexpr (sizeof...(Arguments) != sizeof...(TheirArguments))
        return false;
    else
        return sizeof(Result) == sizeof(TheirResult) && ((sizeof(Arguments) == sizeof(TheirArguments)) && ...);
}();

static_assert(alike<decltype(CudaApi::Init), decltype(&cuInit)>);
static_assert(alike<decltype(CudaApi::DriverGetVersion), decltype(&cuDriverGetVersion)>);
static_assert(alike<decltype(CudaApi::GetErrorName), decltype(&cuGetErrorName)>);
static_assert(alike<decltype(CudaApi::DeviceGetCount), decltype(&cuDeviceGetCount)>);
static_assert(alike<decltype(CudaApi::DeviceGet), decltype(&cuDeviceGet)>);
static_assert(alike<decltype(CudaApi::DeviceGetName), decltype(&cuDeviceGetName)>);
static_assert(alike<decltype(CudaApi::DeviceGetUuid), decltype(&cuDeviceGetUuid_v2)>);
static_assert(alike<decltype(CudaApi::DeviceGetPCIBusId), decltype(&cuDeviceGetPCIBusId)>);
static_assert(alike<decltype(CudaApi::DeviceGetAttribute), decltype(&cuDeviceGetAttribute)>);
static_assert(alike<decltype(CudaApi::CtxDestroy), decltype(&cuCtxDestroy)>);
static_assert(alike<decltype(CudaApi::CtxSetCurrent), decltype(&cuCtxSetCurrent)>);
static_assert(alike<decltype(CudaApi::MemGetInfo), decltype(&cuMemGetInfo)>);
static_assert(alike<decltype(CudaApi::MemGetAllocationGranularity), decltype(&cuMemGetAllocationGranularity)>);
static_assert(alike<decltype(CudaApi::MemCreate), decltype(&cuMemCreate)>);
static_assert(alike<decltype(CudaApi::MemRelease), decltype(&cuMemRelease)>);
static_assert(alike<decltype(CudaApi::MemExportToShareableHandle), decltype(&cuMemExportToShareableHandle)>);
static_assert(alike<decltype(CudaApi::MemImportFromShareableHandle), decltype(&cuMemImportFromShareableHandle)>);
static_assert(alike<decltype(CudaApi::MemAddressReserve), decltype(&cuMemAddressReserve)>);
static_assert(alike<decltype(CudaApi::MemAddressFree), decltype(&cuMemAddressFree)>);
static_assert(alike<decltype(CudaApi::MemMap), decltype(&cuMemMap)>);
static_assert(alike<decltype(CudaApi::MemUnmap), decltype(&cuMemUnmap)>);
static_assert(alike<decltype(CudaApi::MemSetAccess), decltype(&cuMemSetAccess)>);
static_assert(alike<decltype(CudaApi::MemHostAlloc), decltype(&cuMemHostAlloc)>);
static_assert(alike<decltype(CudaApi::MemFreeHost), decltype(&cuMemFreeHost)>);
static_assert(alike<decltype(CudaApi::MemHostRegister), decltype(&cuMemHostRegister)>);
static_assert(alike<decltype(CudaApi::MemHostUnregister), decltype(&cuMemHostUnregister)>);
static_assert(alike<decltype(CudaApi::MemHostGetDevicePointer), decltype(&cuMemHostGetDevicePointer)>);
static_assert(alike<decltype(CudaApi::StreamCreate), decltype(&cuStreamCreate)>);
static_assert(alike<decltype(CudaApi::StreamDestroy), decltype(&cuStreamDestroy)>);
static_assert(alike<decltype(CudaApi::StreamQuery), decltype(&cuStreamQuery)>);
static_assert(alike<decltype(CudaApi::StreamSynchronize), decltype(&cuStreamSynchronize)>);
static_assert(alike<decltype(CudaApi::MemcpyHtoDAsync), decltype(&cuMemcpyHtoDAsync)>);
static_assert(alike<decltype(CudaApi::MemcpyDtoHAsync), decltype(&cuMemcpyDtoHAsync)>);
static_assert(alike<decltype(CudaApi::MemsetD8Async), decltype(&cuMemsetD8Async)>);
static_assert(alike<decltype(CudaApi::StreamWriteValue32), decltype(&cuStreamWriteValue32)>);
static_assert(alike<decltype(CudaApi::ModuleLoadData), decltype(&cuModuleLoadData)>);
static_assert(alike<decltype(CudaApi::ModuleUnload), decltype(&cuModuleUnload)>);
static_assert(alike<decltype(CudaApi::ModuleGetFunction), decltype(&cuModuleGetFunction)>);
static_assert(alike<decltype(CudaApi::LaunchKernel), decltype(&cuLaunchKernel)>);

// CUDA 13's cuda.h declares the next version under this name.
#if CUDA_VERSION >= 12080 && CUDA_VERSION < 13000
static_assert(alike<decltype(CudaApi::MemcpyBatchAsync), decltype(&cuMemcpyBatchAsync)>);
static_assert(same(cuda::copy_order_stream, CU_MEMCPY_SRC_ACCESS_ORDER_STREAM));
static_assert(sizeof(cuda::CopyAttributes) == sizeof(CUmemcpyAttributes));
static_assert(offsetof(cuda::CopyAttributes, from) == offsetof(CUmemcpyAttributes, srcLocHint));
static_assert(offsetof(cuda::CopyAttributes, to) == offsetof(CUmemcpyAttributes, dstLocHint));
static_assert(offsetof(cuda::CopyAttributes, flags) == offsetof(CUmemcpyAttributes, flags));
#endif

constexpr bool compared = true;

} // namespace

#else

namespace {

constexpr bool compared = false;

} // namespace

#endif

TEST_CASE("our declarations of CUDA are NVIDIA's, where those can be compared") {
    if (!compared)
        WARN("there is no cuda.h here: the declarations were not compared");
    SUCCEED();
}
