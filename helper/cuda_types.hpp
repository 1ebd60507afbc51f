// SPDX-License-Identifier: MIT
// What we use of the CUDA Driver API, in declarations of our own, so that nothing of NVIDIA's is needed to build. The
// binary interface is fixed: the real name stands beside each, and tests/unit/cuda_types.cpp compares all of it with
// cuda.h where that file is present.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace vramswap::cuda {

// The driver's enumerations are as wide as this, whatever their values.
// NOLINTBEGIN(performance-enum-size)

/// CUresult. Values that are not named here occur, too.
enum class Code : std::uint32_t {
    success = 0,                  // CUDA_SUCCESS
    invalid_value = 1,            // CUDA_ERROR_INVALID_VALUE
    out_of_memory = 2,            // CUDA_ERROR_OUT_OF_MEMORY
    not_initialized = 3,          // CUDA_ERROR_NOT_INITIALIZED
    device_unavailable = 46,      // CUDA_ERROR_DEVICE_UNAVAILABLE
    no_device = 100,              // CUDA_ERROR_NO_DEVICE
    invalid_device = 101,         // CUDA_ERROR_INVALID_DEVICE
    invalid_context = 201,        // CUDA_ERROR_INVALID_CONTEXT
    no_binary_for_gpu = 209,      // CUDA_ERROR_NO_BINARY_FOR_GPU
    invalid_ptx = 218,            // CUDA_ERROR_INVALID_PTX
    invalid_handle = 400,         // CUDA_ERROR_INVALID_HANDLE
    not_found = 500,              // CUDA_ERROR_NOT_FOUND
    not_ready = 600,              // CUDA_ERROR_NOT_READY
    illegal_address = 700,        // CUDA_ERROR_ILLEGAL_ADDRESS
    already_registered = 712,     // CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED
    not_registered = 713,         // CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED
    launch_failed = 719,          // CUDA_ERROR_LAUNCH_FAILED
    not_supported = 801,          // CUDA_ERROR_NOT_SUPPORTED
    system_driver_mismatch = 803, // CUDA_ERROR_SYSTEM_DRIVER_MISMATCH
    unknown = 999,                // CUDA_ERROR_UNKNOWN
};

using Device = std::int32_t;        // CUdevice
using Address = std::uint64_t;      // CUdeviceptr; CUdeviceptr_v2 on 64-bit systems
using MemoryHandle = std::uint64_t; // CUmemGenericAllocationHandle

// CUcontext and CUstream point to what only the driver knows.
struct ContextBody;
struct StreamBody;
struct ModuleBody;
struct FunctionBody;
using Context = ContextBody*;   // CUcontext
using Stream = StreamBody*;     // CUstream
using Module = ModuleBody*;     // CUmodule
using Function = FunctionBody*; // CUfunction

/// CUuuid.
struct Uuid {
    std::array<unsigned char, 16> bytes{};

    bool operator==(const Uuid&) const = default;
};

/// CUdevice_attribute.
enum class Attribute : std::uint32_t {
    multiprocessor_count = 16,    // CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT
    kernel_exec_timeout = 17,     // CU_DEVICE_ATTRIBUTE_KERNEL_EXEC_TIMEOUT
    integrated = 18,              // CU_DEVICE_ATTRIBUTE_INTEGRATED
    compute_mode = 20,            // CU_DEVICE_ATTRIBUTE_COMPUTE_MODE
    ecc_enabled = 32,             // CU_DEVICE_ATTRIBUTE_ECC_ENABLED
    host_register_supported = 99, // CU_DEVICE_ATTRIBUTE_HOST_REGISTER_SUPPORTED
    virtual_memory = 102,         // CU_DEVICE_ATTRIBUTE_VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED
    posix_fd_handles = 103,       // CU_DEVICE_ATTRIBUTE_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR_SUPPORTED
};

// NOLINTEND(performance-enum-size)

// CUcomputemode, as cuDeviceGetAttribute gives it.
inline constexpr int compute_mode_prohibited = 2;        // CU_COMPUTEMODE_PROHIBITED
inline constexpr int compute_mode_exclusive_process = 3; // CU_COMPUTEMODE_EXCLUSIVE_PROCESS

// Flags of single calls.
inline constexpr unsigned ctx_sched_spin = 1;           // CU_CTX_SCHED_SPIN
inline constexpr unsigned ctx_map_host = 8;             // CU_CTX_MAP_HOST
inline constexpr unsigned stream_non_blocking = 1;      // CU_STREAM_NON_BLOCKING
inline constexpr unsigned stream_write_default = 0;     // CU_STREAM_WRITE_VALUE_DEFAULT
inline constexpr unsigned host_register_portable = 1;   // CU_MEMHOSTREGISTER_PORTABLE
inline constexpr unsigned host_register_device_map = 2; // CU_MEMHOSTREGISTER_DEVICEMAP
inline constexpr unsigned host_alloc_portable = 1;      // CU_MEMHOSTALLOC_PORTABLE
inline constexpr unsigned host_alloc_device_map = 2;    // CU_MEMHOSTALLOC_DEVICEMAP

// CUmemAllocationType, CUmemAllocationHandleType, CUmemLocationType, CUmemAccess_flags,
// CUmemAllocationGranularity_flags: plain C enumerations, four bytes each.
inline constexpr std::uint32_t allocation_pinned = 1;   // CU_MEM_ALLOCATION_TYPE_PINNED
inline constexpr std::uint32_t handle_posix_fd = 1;     // CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR
inline constexpr std::uint32_t location_device = 1;     // CU_MEM_LOCATION_TYPE_DEVICE
inline constexpr std::uint32_t access_read_write = 3;   // CU_MEM_ACCESS_FLAGS_PROT_READWRITE
inline constexpr std::uint32_t granularity_minimum = 0; // CU_MEM_ALLOC_GRANULARITY_MINIMUM
inline constexpr std::uint32_t copy_order_stream = 1;   // CU_MEMCPY_SRC_ACCESS_ORDER_STREAM

/// CUmemLocation.
struct Location {
    std::uint32_t type = location_device;
    std::int32_t id = 0; ///< the Device
};
static_assert(sizeof(Location) == 8);

/// CUmemAllocationProp.
struct AllocationProp {
    /// Its member allocFlags.
    struct Flags {
        unsigned char compression = 0;           // compressionType
        unsigned char gpu_direct_rdma = 0;       // gpuDirectRDMACapable
        unsigned short usage = 0;                // usage
        std::array<unsigned char, 4> reserved{}; // reserved
    };

    std::uint32_t type = allocation_pinned;
    std::uint32_t handle_types = handle_posix_fd; // requestedHandleTypes
    Location location;
    void* windows_data = nullptr; // win32HandleMetaData
    Flags flags;                  // allocFlags
};
static_assert(sizeof(AllocationProp) == 32);
static_assert(offsetof(AllocationProp, location) == 8 && offsetof(AllocationProp, windows_data) == 16 &&
              offsetof(AllocationProp, flags) == 24);

/// CUmemAccessDesc.
struct AccessDesc {
    Location location;
    std::uint32_t flags = access_read_write;
};
static_assert(sizeof(AccessDesc) == 12 && offsetof(AccessDesc, flags) == 8);

/// CUmemcpyAttributes, of drivers from CUDA 12.8 on. The hints count for managed memory only.
struct CopyAttributes {
    std::uint32_t order = copy_order_stream; // srcAccessOrder
    Location from{.type = 0};                // srcLocHint
    Location to{.type = 0};                  // dstLocHint
    std::uint32_t flags = 0;
};
static_assert(sizeof(CopyAttributes) == 24 && offsetof(CopyAttributes, flags) == 20);

// cuGetProcAddress_v2.
inline constexpr std::uint64_t proc_legacy_stream = 1; // CU_GET_PROC_ADDRESS_LEGACY_STREAM

static_assert(sizeof(void*) == 8, "CUdeviceptr has another size where pointers have");

} // namespace vramswap::cuda
