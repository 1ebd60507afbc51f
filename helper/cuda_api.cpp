// SPDX-License-Identifier: MIT
#include "cuda_api.hpp"

#include <bit>
#include <cerrno>
#include <memory>

#include <dlfcn.h>
#include <stdlib.h> // NOLINT(modernize-deprecated-headers): setenv

namespace vramswap {
namespace {

using cuda::Code;

/// What users with an old driver are told; 11.7 brought the newest of the calls that we need.
constexpr const char* needed = "vramswapd needs NVIDIA's driver 515 (CUDA 11.7) or newer";

struct CloseLibrary {
    void operator()(void* library) const noexcept { ::dlclose(library); }
};

std::string version_text(int version) {
    return version == 0 ? "an unknown version" : fmt::format("CUDA {}.{}", version / 1000, version % 1000 / 10);
}

/// cuGetProcAddress_v2; its last argument, CUdriverProcAddressQueryResult*, may be null.
using GetProcAddress = Code (*)(const char* name, void** function, int version, std::uint64_t flags, void* result);

/// What libcuda reads in the environment, and when.
void set_surroundings() {
    // What a GPU's kernels need is loaded by cuCtxCreate and not by the first copy, when that may not allocate.
    (void)::setenv("CUDA_MODULE_LOADING", "EAGER", 1); // NOLINT(concurrency-mt-unsafe): before any thread
    // Programs for the GPU are compiled in memory: a cache would be files, at a time when the memory for them may be in
    // our own device.
    (void)::setenv("CUDA_CACHE_DISABLE", "1", 1); // NOLINT(concurrency-mt-unsafe): before any thread
    // A stream of its own queue each: what waits in one must not wait for a program in another that never ends.
    (void)::setenv("CUDA_DEVICE_MAX_CONNECTIONS", "32", 1); // NOLINT(concurrency-mt-unsafe): before any thread
    // Not by way of an MPS server: that is another process, whose memory may lie in our device, and which may make us
    // wait for other users' programs. A pipe that cannot be there means none.
    (void)::setenv("CUDA_MPS_PIPE_DIRECTORY", "/dev/null/none", 1); // NOLINT(concurrency-mt-unsafe)
}

} // namespace

/// Finds functions by name and version.
class CudaApi::Finder {
public:
    explicit Finder(void* library)
        : library_(library), ask_(std::bit_cast<GetProcAddress>(::dlsym(library, "cuGetProcAddress_v2"))) {}

    /// `version`: the API version that the signature is of. `symbol`: what the library exports for it, for drivers
    /// before 12.0, which lack cuGetProcAddress_v2.
    template<class Function>
    void find(Function& place, const char* name, int version, const char* symbol) {
        find_if_there(place, name, version, symbol);
        if (place == nullptr && missing_ == nullptr)
            missing_ = name;
    }

    /// As find, but it may be missing.
    template<class Function>
    void find_if_there(Function& place, const char* name, int version, const char* symbol) {
        void* found = nullptr;
        if (ask_ == nullptr)
            found = ::dlsym(library_, symbol);
        else if (ask_(name, &found, version, cuda::proc_legacy_stream, nullptr) != Code::success)
            found = nullptr;
        place = std::bit_cast<Function>(found);
    }

    /// As find, where name and symbol are the same.
    template<class Function>
    void find(Function& place, const char* name, int version) {
        find(place, name, version, name);
    }

    /// The first that was not found, or null.
    [[nodiscard]] const char* missing() const noexcept { return missing_; }

private:
    void* library_;
    GetProcAddress ask_;
    const char* missing_ = nullptr;
};

Result<void> CudaApi::find_all(Finder& finder) {
    finder.find(DriverGetVersion, "cuDriverGetVersion", 2020);
    finder.find(Init, "cuInit", 2000);
    finder.find(GetErrorName, "cuGetErrorName", 6000);
    finder.find(DeviceGetCount, "cuDeviceGetCount", 2000);
    finder.find(DeviceGet, "cuDeviceGet", 2000);
    finder.find(DeviceGetName, "cuDeviceGetName", 2000);
    finder.find(DeviceGetUuid, "cuDeviceGetUuid", 11040, "cuDeviceGetUuid_v2");
    finder.find(DeviceGetPCIBusId, "cuDeviceGetPCIBusId", 4010);
    finder.find(DeviceGetAttribute, "cuDeviceGetAttribute", 2000);
    finder.find(CtxCreate, "cuCtxCreate", 3020, "cuCtxCreate_v2");
    finder.find(CtxDestroy, "cuCtxDestroy", 4000, "cuCtxDestroy_v2");
    finder.find(CtxSetCurrent, "cuCtxSetCurrent", 4000);
    finder.find(CtxGetDevice, "cuCtxGetDevice", 2000);
    finder.find(MemGetInfo, "cuMemGetInfo", 3020, "cuMemGetInfo_v2");
    finder.find(MemGetAllocationGranularity, "cuMemGetAllocationGranularity", 10020);
    finder.find(MemCreate, "cuMemCreate", 10020);
    finder.find(MemRelease, "cuMemRelease", 10020);
    finder.find(MemExportToShareableHandle, "cuMemExportToShareableHandle", 10020);
    finder.find(MemImportFromShareableHandle, "cuMemImportFromShareableHandle", 10020);
    finder.find(MemAddressReserve, "cuMemAddressReserve", 10020);
    finder.find(MemAddressFree, "cuMemAddressFree", 10020);
    finder.find(MemMap, "cuMemMap", 10020);
    finder.find(MemUnmap, "cuMemUnmap", 10020);
    finder.find(MemSetAccess, "cuMemSetAccess", 10020);
    finder.find(MemHostAlloc, "cuMemHostAlloc", 2020);
    finder.find(MemFreeHost, "cuMemFreeHost", 2000);
    finder.find(MemHostRegister, "cuMemHostRegister", 6050, "cuMemHostRegister_v2");
    finder.find(MemHostUnregister, "cuMemHostUnregister", 4000);
    finder.find(MemHostGetDevicePointer, "cuMemHostGetDevicePointer", 3020, "cuMemHostGetDevicePointer_v2");
    finder.find(ModuleLoadData, "cuModuleLoadData", 2000);
    finder.find(ModuleUnload, "cuModuleUnload", 2000);
    finder.find(ModuleGetFunction, "cuModuleGetFunction", 2000);
    finder.find(StreamCreate, "cuStreamCreate", 2000);
    finder.find(StreamDestroy, "cuStreamDestroy", 4000, "cuStreamDestroy_v2");
    finder.find(StreamQuery, "cuStreamQuery", 2000);
    finder.find(StreamSynchronize, "cuStreamSynchronize", 2000);
    finder.find(MemcpyHtoDAsync, "cuMemcpyHtoDAsync", 3020, "cuMemcpyHtoDAsync_v2");
    finder.find(MemcpyDtoHAsync, "cuMemcpyDtoHAsync", 3020, "cuMemcpyDtoHAsync_v2");
    finder.find(MemsetD8Async, "cuMemsetD8Async", 3020);
    finder.find(StreamWriteValue32, "cuStreamWriteValue32", 11070, "cuStreamWriteValue32_v2");
    finder.find(LaunchKernel, "cuLaunchKernel", 4000);
    finder.find_if_there(MemcpyBatchAsync, "cuMemcpyBatchAsync", 12080, "cuMemcpyBatchAsync");
    if (DriverGetVersion != nullptr)
        (void)DriverGetVersion(&version_);
    if (finder.missing() != nullptr)
        return fail(ENOSYS, "NVIDIA's driver ({}) is too old: it lacks {}; {}", version_text(version_),
                    finder.missing(), needed);
    return {};
}

/// cuInit, with the driver's reasons in words that say what to do.
Result<void> CudaApi::start() const {
    switch (const Code code = Init(0)) {
    case Code::success:
        break;
    case Code::no_device:
        return fail(ENODEV,
                    "NVIDIA's driver finds no GPU; nvidia-smi should list it, and CUDA_VISIBLE_DEVICES, if set, "
                    "must not hide it");
    case Code::system_driver_mismatch:
        return fail(EIO, "NVIDIA's driver was updated while it ran: its library and its kernel module differ; reboot");
    default:
        return fail(EIO, "NVIDIA's driver does not start: {}; is its kernel module loaded (nvidia-smi)?", text(code));
    }
    int devices = 0;
    if (const Code code = DeviceGetCount(&devices); code != Code::success)
        return fail(EIO, "NVIDIA's driver does not say how many GPUs there are: {}", text(code));
    if (devices == 0)
        return fail(ENODEV, "NVIDIA's driver lists no GPU; CUDA_VISIBLE_DEVICES, if set, must not hide it");
    return {};
}

void CudaApi::preload(const std::string& library) {
    set_surroundings();
    (void)::dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL); // for as long as the process lives
}

Result<CudaApi> CudaApi::load(const std::string& library) {
    set_surroundings();
    std::unique_ptr<void, CloseLibrary> handle(::dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL));
    if (!handle) {
        const char* const why = ::dlerror(); // NOLINT(concurrency-mt-unsafe): glibc's is of the thread
        return fail(ENOENT, "there is no NVIDIA driver here, or it is without CUDA: {}",
                    why != nullptr ? why : library);
    }
    Finder finder(handle.get());
    CudaApi api;
    if (auto found = api.find_all(finder); !found)
        return pass_on(found);
    // From cuInit on threads of the driver may run in it. NOLINTNEXTLINE(bugprone-unused-return-value)
    (void)handle.release();
    if (auto started = api.start(); !started)
        return pass_on(started);
    return api;
}

std::string CudaApi::text(Code code) const {
    const char* name = nullptr;
    if (GetErrorName(code, &name) != Code::success || name == nullptr)
        return fmt::format("CUDA error {}", static_cast<std::uint32_t>(code));
    return fmt::format("{} ({})", name, static_cast<std::uint32_t>(code));
}

} // namespace vramswap
