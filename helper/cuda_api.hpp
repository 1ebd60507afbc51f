// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "cuda_types.hpp"
#include "error.hpp"

namespace vramswap {

/// libcuda's functions, found at run time: vramswapd starts and serves on machines without NVIDIA's driver.
///
/// Owns the library, and never lets go of it: the driver's own threads run in it until the process ends, whatever has
/// been destroyed before. So copies are as good as the original.
///
/// Members have the real names without "cu"; what they do is said in NVIDIA's manual. Each was asked for in the version
/// that cuda_api.cpp names, so a newer driver's default of another signature is never met.
class CudaApi {
public:
    static constexpr const char* library_name = "libcuda.so.1";

    /// Loads and initialises the driver. `library`: a name for the dynamic linker, or a path. Errors: ENOENT (no driver
    /// on this machine), ENOSYS (too old), ENODEV (no GPU), EIO (the driver does not work).
    [[nodiscard]] static Result<CudaApi> load(const std::string& library = library_name);

    /// Has the library in this process, if it is there, without a word to the driver: what a child then loads is in RAM
    /// as long as this process has its memory locked. Calls setenv, so: before any thread.
    static void preload(const std::string& library = library_name);

    /// The API version that the driver brings, 1000 * major + 10 * minor.
    [[nodiscard]] int version() const noexcept { return version_; }

    /// A result for people: its name and number.
    [[nodiscard]] std::string text(cuda::Code code) const;

    using Code = cuda::Code;

    // Start, devices, context.
    Code (*Init)(unsigned flags) = nullptr;
    Code (*DriverGetVersion)(int* version) = nullptr;
    Code (*GetErrorName)(Code code, const char** name) = nullptr;
    Code (*DeviceGetCount)(int* count) = nullptr;
    Code (*DeviceGet)(cuda::Device* device, int ordinal) = nullptr;
    Code (*DeviceGetName)(char* name, int length, cuda::Device device) = nullptr;
    Code (*DeviceGetUuid)(cuda::Uuid* uuid, cuda::Device device) = nullptr;
    Code (*DeviceGetPCIBusId)(char* id, int length, cuda::Device device) = nullptr;
    Code (*DeviceGetAttribute)(int* value, cuda::Attribute attribute, cuda::Device device) = nullptr;
    Code (*CtxCreate)(cuda::Context* context, unsigned flags, cuda::Device device) = nullptr;
    Code (*CtxDestroy)(cuda::Context context) = nullptr;
    Code (*CtxSetCurrent)(cuda::Context context) = nullptr;
    Code (*CtxGetDevice)(cuda::Device* device) = nullptr; ///< of the thread's context

    // VRAM.
    Code (*MemGetInfo)(std::size_t* free, std::size_t* total) = nullptr;
    Code (*MemGetAllocationGranularity)(std::size_t* bytes, const cuda::AllocationProp* prop,
                                        std::uint32_t which) = nullptr;
    Code (*MemCreate)(cuda::MemoryHandle* handle, std::size_t size, const cuda::AllocationProp* prop,
                      std::uint64_t flags) = nullptr;
    Code (*MemRelease)(cuda::MemoryHandle handle) = nullptr;
    Code (*MemExportToShareableHandle)(void* fd, cuda::MemoryHandle handle, std::uint32_t type,
                                       std::uint64_t flags) = nullptr;
    Code (*MemImportFromShareableHandle)(cuda::MemoryHandle* handle, void* fd, std::uint32_t type) = nullptr;
    Code (*MemAddressReserve)(cuda::Address* address, std::size_t size, std::size_t alignment, cuda::Address wish,
                              std::uint64_t flags) = nullptr;
    Code (*MemAddressFree)(cuda::Address address, std::size_t size) = nullptr;
    Code (*MemMap)(cuda::Address address, std::size_t size, std::size_t offset, cuda::MemoryHandle handle,
                   std::uint64_t flags) = nullptr;
    Code (*MemUnmap)(cuda::Address address, std::size_t size) = nullptr;
    Code (*MemSetAccess)(cuda::Address address, std::size_t size, const cuda::AccessDesc* access,
                         std::size_t count) = nullptr;

    // Host memory that the GPU can reach.
    Code (*MemHostAlloc)(void** memory, std::size_t size, unsigned flags) = nullptr;
    Code (*MemFreeHost)(void* memory) = nullptr;
    Code (*MemHostRegister)(void* memory, std::size_t size, unsigned flags) = nullptr;
    Code (*MemHostUnregister)(void* memory) = nullptr;
    Code (*MemHostGetDevicePointer)(cuda::Address* address, void* memory, unsigned flags) = nullptr;

    // Programs for the GPU.
    Code (*ModuleLoadData)(cuda::Module* module, const void* image) = nullptr;
    Code (*ModuleUnload)(cuda::Module module) = nullptr;
    Code (*ModuleGetFunction)(cuda::Function* function, cuda::Module module, const char* name) = nullptr;

    // Streams and what goes through them. Of these, the I/O path calls the last six.
    Code (*StreamCreate)(cuda::Stream* stream, unsigned flags) = nullptr;
    Code (*StreamDestroy)(cuda::Stream stream) = nullptr;
    Code (*StreamQuery)(cuda::Stream stream) = nullptr;
    Code (*StreamSynchronize)(cuda::Stream stream) = nullptr;
    Code (*MemcpyHtoDAsync)(cuda::Address to, const void* from, std::size_t size, cuda::Stream stream) = nullptr;
    Code (*MemcpyDtoHAsync)(void* to, cuda::Address from, std::size_t size, cuda::Stream stream) = nullptr;
    Code (*MemsetD8Async)(cuda::Address to, unsigned char value, std::size_t size, cuda::Stream stream) = nullptr;
    Code (*StreamWriteValue32)(cuda::Stream stream, cuda::Address to, std::uint32_t value, unsigned flags) = nullptr;
    Code (*LaunchKernel)(cuda::Function function, unsigned blocks_x, unsigned blocks_y, unsigned blocks_z,
                         unsigned threads_x, unsigned threads_y, unsigned threads_z, unsigned shared,
                         cuda::Stream stream, void** arguments, void** extra) = nullptr;

    /// From CUDA 12.8 on; null with older drivers.
    Code (*MemcpyBatchAsync)(cuda::Address* to, cuda::Address* from, std::size_t* sizes, std::size_t count,
                             cuda::CopyAttributes* attributes, std::size_t* first, std::size_t attribute_count,
                             std::size_t* failed, cuda::Stream stream) = nullptr;

private:
    CudaApi() = default;

    class Finder;

    [[nodiscard]] Result<void> find_all(Finder& finder);
    [[nodiscard]] Result<void> start() const;

    int version_ = 0;
};

} // namespace vramswap
