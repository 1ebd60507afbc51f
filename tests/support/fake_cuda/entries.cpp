// SPDX-License-Identifier: MIT
// The functions that the fake libcuda exports, but for those of devices.cpp and programs.cpp. Each notes that it was
// called, then answers as the real one would.
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "calls.hpp"
#include "control.hpp"
#include "devices.hpp"
#include "enter.hpp"
#include "gpu.hpp"
#include "programs.hpp"

using namespace vramswap::cuda;
using vramswap::fake_cuda::begin;
using vramswap::fake_cuda::Calls;
using vramswap::fake_cuda::enter;
using vramswap::fake_cuda::enter_context;
using vramswap::fake_cuda::enter_stream;
using vramswap::fake_cuda::Faults;
using vramswap::fake_cuda::Gpu;
using vramswap::fake_cuda::Operation;

namespace {

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

extern "C" {

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
    if (const Code code = begin("cuMemRelease"); code != Code::success)
        return code;
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
    if (const Code code = begin("cuMemAddressFree"); code != Code::success)
        return code;
    return Gpu::the().free_range(address, size);
}

Code cuMemMap(Address address, std::size_t size, std::size_t offset, MemoryHandle handle, std::uint64_t flags) {
    const Code code = enter("cuMemMap");
    if (code != Code::success)
        return code;
    return offset == 0 && flags == 0 ? Gpu::the().map(address, size, handle) : Code::invalid_value;
}

Code cuMemUnmap(Address address, std::size_t size) {
    if (const Code code = begin("cuMemUnmap"); code != Code::success)
        return code;
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
    Gpu::the().wait_for_work();
    void* const start = std::aligned_alloc(4096, (size + 4095) / 4096 * 4096);
    if (start == nullptr)
        return Code::out_of_memory;
    *memory = start;
    return Gpu::the().add_host(static_cast<std::byte*>(start), size);
}

Code cuMemFreeHost(void* memory) {
    if (const Code code = begin("cuMemFreeHost"); code != Code::success)
        return code;
    Gpu::the().wait_for_work();
    const Code removed = Gpu::the().remove_host(static_cast<std::byte*>(memory));
    if (removed == Code::success)
        std::free(memory);
    return removed;
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
    if (const Code code = begin("cuMemHostUnregister"); code != Code::success)
        return code;
    Gpu::the().wait_for_work();
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
    if (const Code code = begin("cuStreamDestroy"); code != Code::success)
        return code;
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

const char* vramswapFakeLeft() {
    static thread_local std::string text;
    text = Gpu::the().left();
    return text.c_str();
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
        entry("cuCtxGetDevice", 2000, cuCtxGetDevice),
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
