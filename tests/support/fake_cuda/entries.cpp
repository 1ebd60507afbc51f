// SPDX-License-Identifier: MIT
// The functions that the fake libcuda exports. Each notes that it was called, then answers as the real one would.
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include <sys/mman.h>

#include "calls.hpp"
#include "control.hpp"
#include "gpu.hpp"
#include "programs.hpp"

using namespace vramswap::cuda;
using vramswap::fake_cuda::Calls;
using vramswap::fake_cuda::enter_context;
using vramswap::fake_cuda::enter_stream;
using vramswap::fake_cuda::Faults;
using vramswap::fake_cuda::Gpu;
using vramswap::fake_cuda::Operation;

namespace {

constexpr const char* device_name = "FAKE GPU (vramswap test double, host memory)";

std::atomic<bool> initialised = false;
thread_local Context current = nullptr;

/// For calls that need no context.
Code enter(const char* name) {
    Calls::the().note(name);
    return initialised ? Gpu::the().standing() : Code::not_initialized;
}

bool known(Device device) {
    return device >= 0 && device < Gpu::the().faults().devices;
}

/// cuDriverGetVersion and others do as they are told; nobody shall take the answers for a GPU's.
void announce() {
    (void)std::fprintf(stderr, "fake libcuda: %s\n", device_name);
}

Code submit(const char* name, Stream stream, const Operation& operation) {
    if (const Code code = enter_stream(name, stream); code != Code::success)
        return code;
    const bool copy = operation.kind == Operation::Kind::to_vram || operation.kind == Operation::Kind::to_host;
    if (copy && !Gpu::the().pinned(operation.host, operation.size)) {
        (void)std::fprintf(stderr, "fake libcuda: %s with host memory that is not pinned\n", name);
        return Code::invalid_value;
    }
    if (const Code code = Gpu::the().admit(copy); code != Code::success)
        return code;
    stream->push(operation);
    return Code::success;
}

} // namespace

Code vramswap::fake_cuda::enter_context(const char* name) {
    const Code code = enter(name);
    return code == Code::success && current == nullptr ? Code::invalid_context : code;
}

Code vramswap::fake_cuda::enter_stream(const char* name, Stream stream) {
    const Code code = enter_context(name);
    return code == Code::success && stream == nullptr ? Code::invalid_handle : code;
}

extern "C" {

Code cuInit(unsigned flags) {
    Calls::the().note("cuInit");
    const char* const text = std::getenv("VRAMSWAP_FAKE_CUDA");
    vramswapFakeArm(text != nullptr ? text : "");
    if (!initialised)
        announce();
    const Faults faults = Gpu::the().faults();
    if (flags != 0)
        return Code::invalid_value;
    if (faults.init_error != Code::success)
        return faults.init_error;
    if (faults.no_device || faults.devices == 0)
        return Code::no_device;
    initialised = true;
    return Code::success;
}

Code cuDriverGetVersion(int* version) {
    Calls::the().note("cuDriverGetVersion");
    const char* const text = std::getenv("VRAMSWAP_FAKE_CUDA"); // before cuInit, too
    *version = vramswap::fake_cuda::parse_faults(text != nullptr ? text : "").version;
    return Code::success;
}

Code cuGetErrorName(Code code, const char** name) {
    Calls::the().note("cuGetErrorName");
    struct Row {
        Code code;
        const char* name;
    };
    static constexpr std::array rows{
        Row{Code::success, "CUDA_SUCCESS"},
        Row{Code::invalid_value, "CUDA_ERROR_INVALID_VALUE"},
        Row{Code::out_of_memory, "CUDA_ERROR_OUT_OF_MEMORY"},
        Row{Code::device_unavailable, "CUDA_ERROR_DEVICE_UNAVAILABLE"},
        Row{Code::invalid_context, "CUDA_ERROR_INVALID_CONTEXT"},
        Row{Code::illegal_address, "CUDA_ERROR_ILLEGAL_ADDRESS"},
        Row{Code::launch_failed, "CUDA_ERROR_LAUNCH_FAILED"},
        Row{Code::not_supported, "CUDA_ERROR_NOT_SUPPORTED"},
        Row{Code::unknown, "CUDA_ERROR_UNKNOWN"},
    };
    for (const Row& row : rows)
        if (row.code == code) {
            *name = row.name;
            return Code::success;
        }
    *name = nullptr;
    return Code::invalid_value;
}

Code cuDeviceGetCount(int* count) {
    const Code code = enter("cuDeviceGetCount");
    *count = Gpu::the().faults().devices;
    return code;
}

Code cuDeviceGet(Device* device, int ordinal) {
    const Code code = enter("cuDeviceGet");
    *device = ordinal;
    return code != Code::success || known(ordinal) ? code : Code::invalid_device;
}

Code cuDeviceGetName(char* name, int length, Device device) {
    const Code code = enter("cuDeviceGetName");
    (void)std::snprintf(name, static_cast<std::size_t>(length), "%s", device_name);
    return code != Code::success || known(device) ? code : Code::invalid_device;
}

Code cuDeviceGetUuid_v2(Uuid* uuid, Device device) {
    const Code code = enter("cuDeviceGetUuid");
    uuid->bytes.fill(0xFA);
    uuid->bytes.back() = static_cast<unsigned char>(device);
    return code != Code::success || known(device) ? code : Code::invalid_device;
}

/// The devices' order is not that of their places, as with CUDA_DEVICE_ORDER=FASTEST_FIRST.
Code cuDeviceGetPCIBusId(char* id, int length, Device device) {
    const Code code = enter("cuDeviceGetPCIBusId");
    const int bus = Gpu::the().faults().devices - device;
    (void)std::snprintf(id, static_cast<std::size_t>(length), "0000:%02X:00.0", static_cast<unsigned>(bus));
    return code != Code::success || known(device) ? code : Code::invalid_device;
}

Code cuDeviceGetAttribute(int* value, Attribute attribute, Device device) {
    const Code code = enter("cuDeviceGetAttribute");
    if (code != Code::success || !known(device))
        return code != Code::success ? code : Code::invalid_device;
    const Faults faults = Gpu::the().faults();
    switch (attribute) {
    case Attribute::multiprocessor_count:
        *value = faults.processors;
        return code;
    case Attribute::kernel_exec_timeout:
        *value = faults.display ? 1 : 0;
        return code;
    case Attribute::integrated:
        *value = faults.integrated ? 1 : 0;
        return code;
    case Attribute::compute_mode:
        *value = faults.prohibited ? compute_mode_prohibited : faults.busy ? compute_mode_exclusive_process : 0;
        return code;
    case Attribute::host_register_supported:
        *value = 1;
        return code;
    case Attribute::virtual_memory:
        *value = faults.no_virtual_memory ? 0 : 1;
        return code;
    case Attribute::posix_fd_handles:
        *value = faults.no_posix_fds ? 0 : 1;
        return code;
    }
    return Code::invalid_value;
}

Code cuCtxCreate_v2(Context* context, unsigned /*flags*/, Device device) {
    const Code code = enter("cuCtxCreate");
    const Faults faults = Gpu::the().faults();
    if (code != Code::success || !known(device))
        return code != Code::success ? code : Code::invalid_device;
    if (faults.busy)
        return Code::device_unavailable;
    if (faults.prohibited)
        return Code::unknown;
    *context = new ContextBody{device};
    current = *context;
    return code;
}

Code cuCtxDestroy_v2(Context context) {
    Calls::the().note("cuCtxDestroy");
    if (current == context)
        current = nullptr;
    delete context;
    return Code::success;
}

Code cuCtxSetCurrent(Context context) {
    Calls::the().note("cuCtxSetCurrent");
    current = context;
    return Gpu::the().standing();
}

Code cuMemGetInfo_v2(std::size_t* free, std::size_t* total) {
    const Code code = enter_context("cuMemGetInfo");
    Gpu::the().memory_info(*free, *total);
    return code;
}

Code cuMemGetAllocationGranularity(std::size_t* bytes, const AllocationProp* /*prop*/, std::uint32_t /*which*/) {
    *bytes = vramswap::fake_cuda::granule;
    return enter("cuMemGetAllocationGranularity");
}

Code cuMemCreate(MemoryHandle* handle, std::size_t size, const AllocationProp* prop, std::uint64_t flags) {
    const Code code = enter("cuMemCreate");
    if (code != Code::success)
        return code;
    if (prop->type != allocation_pinned || prop->location.type != location_device || flags != 0)
        return Code::invalid_value;
    return Gpu::the().create(*handle, size);
}

Code cuMemRelease(MemoryHandle handle) {
    Calls::the().note("cuMemRelease");
    return Gpu::the().release(handle);
}

Code cuMemExportToShareableHandle(void* fd, MemoryHandle handle, std::uint32_t type, std::uint64_t flags) {
    const Code code = enter("cuMemExportToShareableHandle");
    if (code != Code::success)
        return code;
    if (type != handle_posix_fd || flags != 0)
        return Code::invalid_value;
    return Gpu::the().export_fd(handle, *static_cast<int*>(fd));
}

Code cuMemImportFromShareableHandle(MemoryHandle* handle, void* fd, std::uint32_t type) {
    const Code code = enter("cuMemImportFromShareableHandle");
    if (code != Code::success)
        return code;
    if (type != handle_posix_fd)
        return Code::invalid_value;
    return Gpu::the().import_fd(*handle, static_cast<int>(reinterpret_cast<std::intptr_t>(fd)));
}

Code cuMemAddressReserve(Address* address, std::size_t size, std::size_t /*alignment*/, Address /*wish*/,
                         std::uint64_t flags) {
    const Code code = enter("cuMemAddressReserve");
    if (code != Code::success)
        return code;
    return flags == 0 ? Gpu::the().reserve(*address, size) : Code::invalid_value;
}

Code cuMemAddressFree(Address address, std::size_t size) {
    Calls::the().note("cuMemAddressFree");
    return Gpu::the().free_range(address, size);
}

Code cuMemMap(Address address, std::size_t size, std::size_t offset, MemoryHandle handle, std::uint64_t flags) {
    const Code code = enter("cuMemMap");
    if (code != Code::success)
        return code;
    return offset == 0 && flags == 0 ? Gpu::the().map(address, size, handle) : Code::invalid_value;
}

Code cuMemUnmap(Address address, std::size_t size) {
    Calls::the().note("cuMemUnmap");
    return Gpu::the().unmap(address, size);
}

Code cuMemSetAccess(Address address, std::size_t size, const AccessDesc* access, std::size_t count) {
    const Code code = enter("cuMemSetAccess");
    if (code != Code::success)
        return code;
    return count == 1 ? Gpu::the().set_access(address, size, access->flags) : Code::invalid_value;
}

Code cuMemHostAlloc(void** memory, std::size_t size, unsigned /*flags*/) {
    const Code code = enter_context("cuMemHostAlloc");
    if (code != Code::success)
        return code;
    Gpu::the().wait_for_programs();
    void* const start = std::aligned_alloc(4096, (size + 4095) / 4096 * 4096);
    if (start == nullptr)
        return Code::out_of_memory;
    *memory = start;
    return Gpu::the().add_host(static_cast<std::byte*>(start), size);
}

Code cuMemFreeHost(void* memory) {
    Calls::the().note("cuMemFreeHost");
    Gpu::the().wait_for_programs();
    const Code code = Gpu::the().remove_host(static_cast<std::byte*>(memory));
    if (code == Code::success)
        std::free(memory);
    return code;
}

Code cuMemHostRegister_v2(void* memory, std::size_t size, unsigned /*flags*/) {
    const Code code = enter_context("cuMemHostRegister");
    if (code != Code::success)
        return code;
    if (Gpu::the().faults().refuse_register)
        return Code::not_supported;
    return Gpu::the().add_host(static_cast<std::byte*>(memory), size);
}

Code cuMemHostUnregister(void* memory) {
    Calls::the().note("cuMemHostUnregister");
    Gpu::the().wait_for_programs();
    return Gpu::the().remove_host(static_cast<std::byte*>(memory));
}

Code cuMemHostGetDevicePointer_v2(Address* address, void* memory, unsigned flags) {
    const Code code = enter_context("cuMemHostGetDevicePointer");
    if (code != Code::success)
        return code;
    if (flags != 0 || !Gpu::the().pinned(static_cast<std::byte*>(memory), 1))
        return Code::invalid_value;
    *address = reinterpret_cast<std::uintptr_t>(memory) + vramswap::fake_cuda::host_bias;
    return code;
}

Code cuStreamCreate(Stream* stream, unsigned flags) {
    const Code code = enter_context("cuStreamCreate");
    if (code != Code::success)
        return code;
    if (flags != stream_non_blocking)
        return Code::invalid_value;
    *stream = new StreamBody;
    return code;
}

/// As in the manual: what the stream has still to do is done.
Code cuStreamDestroy_v2(Stream stream) {
    Calls::the().note("cuStreamDestroy");
    delete stream;
    return Code::success;
}

Code cuStreamQuery(Stream stream) {
    const Code code = enter_context("cuStreamQuery");
    if (code != Code::success)
        return code;
    return stream->idle() ? Gpu::the().standing() : Code::not_ready;
}

Code cuStreamSynchronize(Stream stream) {
    const Code code = enter_context("cuStreamSynchronize");
    if (code != Code::success)
        return code;
    stream->wait();
    return Gpu::the().standing();
}

Code cuMemcpyHtoDAsync_v2(Address to, const void* from, std::size_t size, Stream stream) {
    auto* const host = static_cast<std::byte*>(const_cast<void*>(from));
    return submit("cuMemcpyHtoDAsync", stream,
                  {.kind = Operation::Kind::to_vram, .vram = to, .host = host, .size = size});
}

Code cuMemcpyDtoHAsync_v2(void* to, Address from, std::size_t size, Stream stream) {
    return submit("cuMemcpyDtoHAsync", stream,
                  {.kind = Operation::Kind::to_host, .vram = from, .host = static_cast<std::byte*>(to), .size = size});
}

/// Synchronous, and from any memory: for comparisons.
Code cuMemcpyHtoD_v2(Address to, const void* from, std::size_t size) {
    const Code code = enter_context("cuMemcpyHtoD");
    return code == Code::success ? Gpu::the().copy_now(to, static_cast<std::byte*>(const_cast<void*>(from)), size, true)
                                 : code;
}

Code cuMemcpyDtoH_v2(void* to, Address from, std::size_t size) {
    const Code code = enter_context("cuMemcpyDtoH");
    return code == Code::success ? Gpu::the().copy_now(from, static_cast<std::byte*>(to), size, false) : code;
}

Code cuMemsetD8Async(Address to, unsigned char value, std::size_t size, Stream stream) {
    return submit("cuMemsetD8Async", stream, {.kind = Operation::Kind::fill, .vram = to, .size = size, .value = value});
}

Code cuStreamWriteValue32_v2(Stream stream, Address to, std::uint32_t value, unsigned flags) {
    if (flags != stream_write_default || to % sizeof value != 0)
        return Code::invalid_value;
    return submit("cuStreamWriteValue32", stream,
                  {.kind = Operation::Kind::write_word, .vram = to, .size = sizeof value, .value = value});
}

void vramswapFakeArm(const char* faults) {
    Gpu::the().arm(vramswap::fake_cuda::parse_faults(faults));
}

void vramswapFakeMark() {
    Calls::the().mark();
}

const char* vramswapFakeCalled() {
    return Calls::the().called();
}

unsigned long long vramswapFakeCalls(const char* name) {
    return Calls::the().count(name);
}
}

#ifndef FAKE_CUDA_BEFORE_12

namespace {

/// A function as cuGetProcAddress knows it: since which version of the API it has this signature.
struct Entry {
    const char* name;
    int version;
    void* function;
};

template<class Function>
Entry entry(const char* name, int version, Function* function) {
    return {name, version, reinterpret_cast<void*>(function)};
}

const auto& entries() {
    static const std::array all{
        entry("cuInit", 2000, cuInit),
        entry("cuDriverGetVersion", 2020, cuDriverGetVersion),
        entry("cuGetErrorName", 6000, cuGetErrorName),
        entry("cuDeviceGetCount", 2000, cuDeviceGetCount),
        entry("cuDeviceGet", 2000, cuDeviceGet),
        entry("cuDeviceGetName", 2000, cuDeviceGetName),
        entry("cuDeviceGetUuid", 11040, cuDeviceGetUuid_v2),
        entry("cuDeviceGetPCIBusId", 4010, cuDeviceGetPCIBusId),
        entry("cuDeviceGetAttribute", 2000, cuDeviceGetAttribute),
        entry("cuCtxCreate", 3020, cuCtxCreate_v2),
        entry("cuCtxDestroy", 4000, cuCtxDestroy_v2),
        entry("cuCtxSetCurrent", 4000, cuCtxSetCurrent),
        entry("cuMemGetInfo", 3020, cuMemGetInfo_v2),
        entry("cuMemGetAllocationGranularity", 10020, cuMemGetAllocationGranularity),
        entry("cuMemCreate", 10020, cuMemCreate),
        entry("cuMemRelease", 10020, cuMemRelease),
        entry("cuMemExportToShareableHandle", 10020, cuMemExportToShareableHandle),
        entry("cuMemImportFromShareableHandle", 10020, cuMemImportFromShareableHandle),
        entry("cuMemAddressReserve", 10020, cuMemAddressReserve),
        entry("cuMemAddressFree", 10020, cuMemAddressFree),
        entry("cuMemMap", 10020, cuMemMap),
        entry("cuMemUnmap", 10020, cuMemUnmap),
        entry("cuMemSetAccess", 10020, cuMemSetAccess),
        entry("cuMemHostAlloc", 2020, cuMemHostAlloc),
        entry("cuMemFreeHost", 2000, cuMemFreeHost),
        entry("cuMemHostRegister", 6050, cuMemHostRegister_v2),
        entry("cuMemHostUnregister", 4000, cuMemHostUnregister),
        entry("cuMemHostGetDevicePointer", 3020, cuMemHostGetDevicePointer_v2),
        entry("cuStreamCreate", 2000, cuStreamCreate),
        entry("cuStreamDestroy", 4000, cuStreamDestroy_v2),
        entry("cuStreamQuery", 2000, cuStreamQuery),
        entry("cuStreamSynchronize", 2000, cuStreamSynchronize),
        entry("cuMemcpyHtoDAsync", 3020, cuMemcpyHtoDAsync_v2),
        entry("cuMemcpyDtoHAsync", 3020, cuMemcpyDtoHAsync_v2),
        entry("cuMemsetD8Async", 3020, cuMemsetD8Async),
        entry("cuStreamWriteValue32", 11070, cuStreamWriteValue32_v2),
        entry("cuMemcpyBatchAsync", 12080, cuMemcpyBatchAsync),
        entry("cuModuleLoadData", 2000, cuModuleLoadData),
        entry("cuModuleUnload", 2000, cuModuleUnload),
        entry("cuModuleGetFunction", 2000, cuModuleGetFunction),
        entry("cuLaunchKernel", 4000, cuLaunchKernel),
    };
    return all;
}

} // namespace

extern "C" Code cuGetProcAddress_v2(const char* symbol, void** function, int version, std::uint64_t /*flags*/,
                                    void* /*result*/) {
    const char* const text = std::getenv("VRAMSWAP_FAKE_CUDA");
    const Faults faults = vramswap::fake_cuda::parse_faults(text != nullptr ? text : "");
    for (const Entry& entry : entries())
        if (std::strcmp(entry.name, symbol) == 0 && faults.missing != symbol && entry.version <= version &&
            entry.version <= faults.version) {
            *function = entry.function;
            return Code::success;
        }
    *function = nullptr;
    return Code::not_found;
}

#endif
