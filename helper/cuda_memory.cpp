// SPDX-License-Identifier: MIT
#include "cuda_memory.hpp"

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>

#include "cuda_copier.hpp"
#include "size.hpp"

namespace vramswap {

using cuda::Code;

namespace {

using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

/// For one errand: a page to move, or a chunk to zero, which is a GiB at most and takes some tens of milliseconds.
/// A GPU that others keep busy is a hundred times slower at worst. As long as a piece of the lanes' warm-up gets.
constexpr auto patience = 10s;

/// Of asking whether it is done. There may be 192 chunks.
constexpr auto interval = 100us;

std::unexpected<Error> hangs() {
    return fail(ETIMEDOUT, "the GPU hangs: what takes milliseconds was not done in {} s (dmesg may say more: Xid)",
                patience / 1s);
}

} // namespace

Result<CudaPinned> CudaPinned::make(const CudaApi& api, std::size_t size) {
    void* memory = nullptr;
    Code code = api.MemHostAlloc(&memory, size, cuda::host_alloc_portable | cuda::host_alloc_device_map);
    if (code != Code::success)
        return fail(code == Code::out_of_memory ? ENOMEM : EIO, "no memory that the GPU reaches is to be had: {}",
                    api.text(code));
    CudaPinned pinned(api, {static_cast<std::byte*>(memory), size});
    std::memset(memory, 0, size);
    code = api.MemHostGetDevicePointer(&pinned.address_, memory, 0);
    if (code != Code::success)
        return fail(EIO, "the GPU does not reach memory that was made for it: {}", api.text(code));
    return pinned;
}

Result<CudaStream> CudaStream::make(const CudaApi& api) {
    cuda::Stream stream = nullptr;
    if (const Code code = api.StreamCreate(&stream, cuda::stream_non_blocking); code != Code::success)
        return fail(EIO, "the GPU gives no stream: {}", api.text(code));
    return CudaStream(api, stream);
}

Result<CudaRange> CudaRange::make(const CudaApi& api, std::uint64_t size) {
    cuda::Address address = 0;
    if (const Code code = api.MemAddressReserve(&address, size, 0, 0, 0); code != Code::success)
        return fail(code == Code::out_of_memory ? ENOMEM : EIO, "the GPU gives no addresses for {}: {}",
                    size_text(size), api.text(code));
    return CudaRange(api, address, size);
}

Result<CudaChunk> CudaChunk::make(const CudaApi& api, cuda::Device device, cuda::Address address, std::uint64_t size) {
    CudaChunk chunk(api, address, size);
    const cuda::AllocationProp prop{.location = {.id = device}};
    if (const Code code = api.MemCreate(&chunk.handle_, size, &prop, 0); code != Code::success)
        return fail(code == Code::out_of_memory ? ENOMEM : EIO, "the GPU gives no {} of memory: {}", size_text(size),
                    api.text(code));
    int fd = -1;
    if (const Code code = api.MemExportToShareableHandle(&fd, chunk.handle_, cuda::handle_posix_fd, 0);
        code != Code::success)
        return fail(EIO, "the GPU's memory cannot be kept beyond this process: {}", api.text(code));
    chunk.fd_ = Fd(fd);
    if (auto mapped = chunk.map(device); !mapped)
        return pass_on(mapped);
    return chunk;
}

Result<CudaChunk> CudaChunk::adopt(const CudaApi& api, cuda::Device device, cuda::Address address, std::uint64_t size,
                                   Fd fd) {
    CudaChunk chunk(api, address, size);
    chunk.fd_ = std::move(fd);
    // The descriptor is handed over in a pointer's place. NOLINTNEXTLINE(performance-no-int-to-ptr)
    void* const number = reinterpret_cast<void*>(static_cast<std::intptr_t>(chunk.fd_.get()));
    if (const Code code = api.MemImportFromShareableHandle(&chunk.handle_, number, cuda::handle_posix_fd);
        code != Code::success)
        return fail(ENODEV, "the GPU's memory that was kept is not to be had: {}", api.text(code));
    if (auto mapped = chunk.map(device); !mapped)
        return pass_on(mapped);
    return chunk;
}

Result<void> CudaChunk::map(cuda::Device device) {
    Code code = api_.MemMap(address_, size_, 0, handle_, 0);
    mapped_ = code == Code::success;
    const cuda::AccessDesc access{.location = {.id = device}};
    if (code == Code::success)
        code = api_.MemSetAccess(address_, size_, &access, 1);
    if (code != Code::success)
        return fail(EIO, "{} of the GPU's memory could not be mapped: {}", size_text(size_), api_.text(code));
    return {};
}

CudaChunk::~CudaChunk() {
    if (mapped_)
        (void)api_.MemUnmap(address_, size_);
    if (handle_ != 0)
        (void)api_.MemRelease(handle_);
}

Result<CudaErrands> CudaErrands::make(const CudaApi& api) {
    auto pinned = CudaPinned::make(api, longest);
    if (!pinned)
        return pass_on(pinned);
    auto stream = CudaStream::make(api);
    if (!stream)
        return pass_on(stream);
    return CudaErrands(api, std::move(*pinned), std::move(*stream));
}

CudaErrands::~CudaErrands() {
    if (hung_)
        cuda_leave_hung_gpu();
}

Result<void> CudaErrands::finish(Code started) {
    const auto until = Clock::now() + patience;
    Code code = started == Code::success ? api_.StreamQuery(stream_.get()) : started;
    for (; code == Code::not_ready; code = api_.StreamQuery(stream_.get())) {
        hung_ = Clock::now() >= until;
        if (hung_)
            return hangs();
        std::this_thread::sleep_for(interval);
    }
    if (code != Code::success)
        return fail(EIO, "the GPU does not work: {}", api_.text(code));
    return {};
}

Result<void> CudaErrands::write(cuda::Address to, std::span<const std::byte> bytes) {
    assert(bytes.size() <= longest);
    if (hung_)
        return hangs();
    std::ranges::copy(bytes, pinned_.bytes().begin());
    return finish(api_.MemcpyHtoDAsync(to, pinned_.bytes().data(), bytes.size(), stream_.get()));
}

Result<void> CudaErrands::read(std::span<std::byte> bytes, cuda::Address from) {
    assert(bytes.size() <= longest);
    if (hung_)
        return hangs();
    auto done = finish(api_.MemcpyDtoHAsync(pinned_.bytes().data(), from, bytes.size(), stream_.get()));
    if (done)
        std::ranges::copy(pinned_.bytes().first(bytes.size()), bytes.begin());
    return done;
}

Result<void> CudaErrands::zero(cuda::Address to, std::uint64_t size) {
    if (hung_)
        return hangs();
    return finish(api_.MemsetD8Async(to, 0, size, stream_.get()));
}

} // namespace vramswap
