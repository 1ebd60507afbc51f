// SPDX-License-Identifier: MIT
// Owners of single things that libcuda gives.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include "cuda_api.hpp"
#include "error.hpp"
#include "fd.hpp"

namespace vramswap {

/// Host memory that the GPU reaches, page-aligned, zeroed.
class CudaPinned {
public:
    [[nodiscard]] static Result<CudaPinned> make(const CudaApi& api, std::size_t size);

    CudaPinned(const CudaPinned&) = delete;
    CudaPinned& operator=(const CudaPinned&) = delete;
    CudaPinned(CudaPinned&& other) noexcept
        : api_(other.api_), bytes_(std::exchange(other.bytes_, {})), address_(other.address_) {}
    CudaPinned& operator=(CudaPinned&&) = delete;
    ~CudaPinned() {
        if (!bytes_.empty())
            (void)api_.MemFreeHost(bytes_.data());
    }

    [[nodiscard]] std::span<std::byte> bytes() const noexcept { return bytes_; }

    /// Where the GPU sees it; not where the CPU does.
    [[nodiscard]] cuda::Address address() const noexcept { return address_; }

private:
    CudaPinned(const CudaApi& api, std::span<std::byte> bytes) noexcept : api_(api), bytes_(bytes) {}

    const CudaApi& api_;
    std::span<std::byte> bytes_;
    cuda::Address address_ = 0;
};

/// A stream that does not wait for others. Its destruction waits for nothing.
class CudaStream {
public:
    [[nodiscard]] static Result<CudaStream> make(const CudaApi& api);

    CudaStream(const CudaStream&) = delete;
    CudaStream& operator=(const CudaStream&) = delete;
    CudaStream(CudaStream&& other) noexcept : api_(other.api_), stream_(std::exchange(other.stream_, nullptr)) {}
    CudaStream& operator=(CudaStream&&) = delete;
    ~CudaStream() {
        if (stream_ != nullptr)
            (void)api_.StreamDestroy(stream_);
    }

    [[nodiscard]] cuda::Stream get() const noexcept { return stream_; }

private:
    CudaStream(const CudaApi& api, cuda::Stream stream) noexcept : api_(api), stream_(stream) {}

    const CudaApi& api_;
    cuda::Stream stream_;
};

/// A range of the GPU's addresses with nothing behind them yet.
class CudaRange {
public:
    [[nodiscard]] static Result<CudaRange> make(const CudaApi& api, std::uint64_t size);

    CudaRange(const CudaRange&) = delete;
    CudaRange& operator=(const CudaRange&) = delete;
    CudaRange(CudaRange&& other) noexcept
        : api_(other.api_), address_(other.address_), size_(std::exchange(other.size_, 0)) {}
    CudaRange& operator=(CudaRange&&) = delete;
    ~CudaRange() {
        if (size_ != 0)
            (void)api_.MemAddressFree(address_, size_);
    }

    [[nodiscard]] cuda::Address address() const noexcept { return address_; }

private:
    CudaRange(const CudaApi& api, cuda::Address address, std::uint64_t size) noexcept
        : api_(api), address_(address), size_(size) {}

    const CudaApi& api_;
    cuda::Address address_;
    std::uint64_t size_;
};

/// A piece of VRAM, mapped for reading and writing, and a descriptor that keeps its bytes when this process is gone.
class CudaChunk {
public:
    /// Takes VRAM that nobody has. Error ENOMEM if there is none.
    [[nodiscard]] static Result<CudaChunk> make(const CudaApi& api, cuda::Device device, cuda::Address address,
                                                std::uint64_t size);

    /// Takes what `fd`, another process's descriptor, keeps. Error ENODEV if that is not to be had, for the GPU was
    /// reset, say.
    [[nodiscard]] static Result<CudaChunk> adopt(const CudaApi& api, cuda::Device device, cuda::Address address,
                                                 std::uint64_t size, Fd fd);

    CudaChunk(const CudaChunk&) = delete;
    CudaChunk& operator=(const CudaChunk&) = delete;
    CudaChunk(CudaChunk&& other) noexcept
        : api_(other.api_), fd_(std::move(other.fd_)), address_(other.address_), size_(other.size_),
          handle_(std::exchange(other.handle_, 0)), mapped_(std::exchange(other.mapped_, false)) {}
    CudaChunk& operator=(CudaChunk&&) = delete;
    ~CudaChunk();

    [[nodiscard]] int fd() const noexcept { return fd_.get(); }
    [[nodiscard]] cuda::Address address() const noexcept { return address_; }
    [[nodiscard]] std::uint64_t size() const noexcept { return size_; }

private:
    CudaChunk(const CudaApi& api, cuda::Address address, std::uint64_t size) noexcept
        : api_(api), address_(address), size_(size) {}

    [[nodiscard]] Result<void> map(cuda::Device device);

    const CudaApi& api_;
    Fd fd_;
    cuda::Address address_;
    std::uint64_t size_;
    cuda::MemoryHandle handle_ = 0;
    bool mapped_ = false;
};

/// Moves and clears bytes while the caller waits: for before and after the device is live, never during.
///
/// A GPU that does not get done in ten seconds what takes milliseconds hangs: error ETIMEDOUT, and the same at once for
/// all that comes later. What it was given must not be taken from it then, nor can it be, for the driver would wait:
/// the destructor ends the process (cuda_leave_hung_gpu). So this is to be destroyed before the memory that it works
/// on.
class CudaErrands {
public:
    [[nodiscard]] static Result<CudaErrands> make(const CudaApi& api);

    CudaErrands(const CudaErrands&) = delete;
    CudaErrands& operator=(const CudaErrands&) = delete;
    CudaErrands(CudaErrands&& other) noexcept
        : api_(other.api_), pinned_(std::move(other.pinned_)), stream_(std::move(other.stream_)),
          hung_(std::exchange(other.hung_, false)) {}
    CudaErrands& operator=(CudaErrands&&) = delete;
    ~CudaErrands();

    /// At most `longest` bytes at once.
    static constexpr std::size_t longest = 4096;
    [[nodiscard]] Result<void> write(cuda::Address to, std::span<const std::byte> bytes);
    [[nodiscard]] Result<void> read(std::span<std::byte> bytes, cuda::Address from);
    [[nodiscard]] Result<void> zero(cuda::Address to, std::uint64_t size);

    [[nodiscard]] bool hung() const noexcept { return hung_; }

private:
    CudaErrands(const CudaApi& api, CudaPinned pinned, CudaStream stream) noexcept
        : api_(api), pinned_(std::move(pinned)), stream_(std::move(stream)) {}

    [[nodiscard]] Result<void> finish(cuda::Code started);

    const CudaApi& api_;
    CudaPinned pinned_;
    CudaStream stream_;
    bool hung_ = false;
};

} // namespace vramswap
