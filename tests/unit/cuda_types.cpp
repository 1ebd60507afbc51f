// SPDX-License-Identifier: MIT
// Our declarations of the CUDA Driver API against NVIDIA's, where the latter are present. Nothing here runs but the
// last test, which says whether they were; cuda_types.cmake looks for them.
#include "catch.hpp"

#include <cstddef>
#include <type_traits>

#include <helper/cuda_api.hpp>
#include <helper/cuda_types.hpp>

// cudaTypedefs.h came with CUDA 11.3, and the newest of the versions that all drivers must have with 11.7.
#if __has_include(<cudaTypedefs.h>)
#include <cudaTypedefs.h>
#endif

#if defined(CUDA_VERSION) && CUDA_VERSION >= 11070

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
static_assert(same(cuda::Attribute::ecc_enabled, CU_DEVICE_ATTRIBUTE_ECC_ENABLED));
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

/// Do two functions take and give as many values, each as wide as the other's, and a pointer where that is one?
template<class Ours, class Theirs>
inline constexpr bool alike = false;
template<class Result, class... Arguments, class TheirResult, class... TheirArguments>
inline constexpr bool alike<Result (*)(Arguments...), TheirResult (*)(TheirArguments...)> = [] {
    if constexpr (sizeof...(Arguments) != sizeof...(TheirArguments))
        return false;
    else
        return sizeof(Result) == sizeof(TheirResult) &&
               ((sizeof(Arguments) == sizeof(TheirArguments) &&
                 std::is_pointer_v<Arguments> == std::is_pointer_v<TheirArguments>) &&
                ...);
}();

// Each in the version that cuda_api.cpp asks for: plain names mean later ones in later toolkits.
static_assert(alike<decltype(CudaApi::DriverGetVersion), PFN_cuDriverGetVersion_v2020>);
static_assert(alike<decltype(CudaApi::Init), PFN_cuInit_v2000>);
static_assert(alike<decltype(CudaApi::GetErrorName), PFN_cuGetErrorName_v6000>);
static_assert(alike<decltype(CudaApi::DeviceGetCount), PFN_cuDeviceGetCount_v2000>);
static_assert(alike<decltype(CudaApi::DeviceGet), PFN_cuDeviceGet_v2000>);
static_assert(alike<decltype(CudaApi::DeviceGetName), PFN_cuDeviceGetName_v2000>);
static_assert(alike<decltype(CudaApi::DeviceGetUuid), PFN_cuDeviceGetUuid_v11040>);
static_assert(alike<decltype(CudaApi::DeviceGetPCIBusId), PFN_cuDeviceGetPCIBusId_v4010>);
static_assert(alike<decltype(CudaApi::DeviceGetAttribute), PFN_cuDeviceGetAttribute_v2000>);
static_assert(alike<decltype(CudaApi::CtxCreate), PFN_cuCtxCreate_v3020>);
static_assert(alike<decltype(CudaApi::CtxDestroy), PFN_cuCtxDestroy_v4000>);
static_assert(alike<decltype(CudaApi::CtxSetCurrent), PFN_cuCtxSetCurrent_v4000>);
static_assert(alike<decltype(CudaApi::CtxGetDevice), PFN_cuCtxGetDevice_v2000>);
static_assert(alike<decltype(CudaApi::MemGetInfo), PFN_cuMemGetInfo_v3020>);
static_assert(alike<decltype(CudaApi::MemGetAllocationGranularity), PFN_cuMemGetAllocationGranularity_v10020>);
static_assert(alike<decltype(CudaApi::MemCreate), PFN_cuMemCreate_v10020>);
static_assert(alike<decltype(CudaApi::MemRelease), PFN_cuMemRelease_v10020>);
static_assert(alike<decltype(CudaApi::MemExportToShareableHandle), PFN_cuMemExportToShareableHandle_v10020>);
static_assert(alike<decltype(CudaApi::MemImportFromShareableHandle), PFN_cuMemImportFromShareableHandle_v10020>);
static_assert(alike<decltype(CudaApi::MemAddressReserve), PFN_cuMemAddressReserve_v10020>);
static_assert(alike<decltype(CudaApi::MemAddressFree), PFN_cuMemAddressFree_v10020>);
static_assert(alike<decltype(CudaApi::MemMap), PFN_cuMemMap_v10020>);
static_assert(alike<decltype(CudaApi::MemUnmap), PFN_cuMemUnmap_v10020>);
static_assert(alike<decltype(CudaApi::MemSetAccess), PFN_cuMemSetAccess_v10020>);
static_assert(alike<decltype(CudaApi::MemHostAlloc), PFN_cuMemHostAlloc_v2020>);
static_assert(alike<decltype(CudaApi::MemFreeHost), PFN_cuMemFreeHost_v2000>);
static_assert(alike<decltype(CudaApi::MemHostRegister), PFN_cuMemHostRegister_v6050>);
static_assert(alike<decltype(CudaApi::MemHostUnregister), PFN_cuMemHostUnregister_v4000>);
static_assert(alike<decltype(CudaApi::MemHostGetDevicePointer), PFN_cuMemHostGetDevicePointer_v3020>);
static_assert(alike<decltype(CudaApi::ModuleLoadData), PFN_cuModuleLoadData_v2000>);
static_assert(alike<decltype(CudaApi::ModuleUnload), PFN_cuModuleUnload_v2000>);
static_assert(alike<decltype(CudaApi::ModuleGetFunction), PFN_cuModuleGetFunction_v2000>);
static_assert(alike<decltype(CudaApi::StreamCreate), PFN_cuStreamCreate_v2000>);
static_assert(alike<decltype(CudaApi::StreamDestroy), PFN_cuStreamDestroy_v4000>);
static_assert(alike<decltype(CudaApi::StreamQuery), PFN_cuStreamQuery_v2000>);
static_assert(alike<decltype(CudaApi::StreamSynchronize), PFN_cuStreamSynchronize_v2000>);
static_assert(alike<decltype(CudaApi::MemcpyHtoDAsync), PFN_cuMemcpyHtoDAsync_v3020>);
static_assert(alike<decltype(CudaApi::MemcpyDtoHAsync), PFN_cuMemcpyDtoHAsync_v3020>);
static_assert(alike<decltype(CudaApi::MemsetD8Async), PFN_cuMemsetD8Async_v3020>);
static_assert(alike<decltype(CudaApi::StreamWriteValue32), PFN_cuStreamWriteValue32_v11070>);
static_assert(alike<decltype(CudaApi::LaunchKernel), PFN_cuLaunchKernel_v4000>);

#if CUDA_VERSION >= 12080
static_assert(alike<decltype(CudaApi::MemcpyBatchAsync), PFN_cuMemcpyBatchAsync_v12080>);
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
    if (!compared) // CMakeLists.txt takes these words for a skip
        WARN("there is no cuda.h of CUDA 11.7 or newer here: nothing was compared");
    SUCCEED();
}
