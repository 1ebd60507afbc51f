// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "cuda_api.hpp"
#include "cuda_device.hpp"
#include "cuda_memory.hpp"
#include "engine.hpp"
#include "error.hpp"
#include "fd.hpp"

namespace vramswap {

/// VRAM that holds a device's bytes: one range of addresses, with chunks behind it. The byte at offset n lies at
/// address() + n.
///
/// Behind the last byte lie a mark and room to play in. The mark is random, and also in the map, a small memory file
/// that is kept with the chunks: a successor that finds another mark knows that the contents are not those that were
/// left, blank for instance, since the GPU was reset.
///
/// To be used by threads that have the GPU's context.
class CudaStore {
public:
    /// Names under which the map and chunk number N are kept: the latter with N behind it.
    static constexpr std::string_view map_name = "vramswap-vram-map";
    static constexpr std::string_view chunk_name = "vramswap-vram-";

    /// Room for warming up, bytes.
    static constexpr std::uint64_t scratch_size = 4ULL << 20;

    /// A GPU's memory, bytes.
    struct Memory {
        std::size_t free = 0;
        std::size_t total = 0;
    };
    [[nodiscard]] static Result<Memory> memory(const CudaApi& api, const CudaGpu& gpu);

    /// Is there enough for `capacity` bytes and what goes with them? Error ENOMEM, with the amounts.
    [[nodiscard]] static Result<void> check_room(const CudaApi& api, const CudaGpu& gpu, std::uint64_t capacity);

    /// New VRAM, all zero. Error ENOMEM if there is too little, with what there is.
    [[nodiscard]] static Result<CudaStore> make(const CudaApi& api, const CudaGpu& gpu, std::uint64_t capacity);

    /// A predecessor's. Takes from `inherited` what it needs. An error if a byte of it could be another than was left:
    /// ENOENT (not all was kept), ERANGE (of another capacity), EPROTO (of another program, version or GPU), ENODEV
    /// (the GPU lost it).
    [[nodiscard]] static Result<CudaStore> adopt(const CudaApi& api, const CudaGpu& gpu, std::uint64_t capacity,
                                                 std::vector<InheritedFd>& inherited);

    /// What a predecessor left of a chunk.
    struct Remains {
        Fd fd;                  ///< none if it was not kept
        std::uint64_t size = 0; ///< bytes
    };

    /// All chunks of a predecessor's `capacity` bytes, taken out of `inherited`, be they whole or not; at least one. If
    /// there is no map that tells their sizes, they are what this program would make.
    [[nodiscard]] static Result<std::vector<Remains>>
    take_remains(const CudaApi& api, const CudaGpu& gpu, std::uint64_t capacity, std::vector<InheritedFd>& inherited);

    [[nodiscard]] cuda::Address address() const noexcept { return range_.address(); }
    [[nodiscard]] std::uint64_t capacity() const noexcept { return capacity_; }

    /// scratch_size bytes that nobody needs.
    [[nodiscard]] cuda::Address scratch() const noexcept { return address() + capacity_ + mark_room; }

    /// Valid as long as this object.
    [[nodiscard]] std::vector<KeptFd> kept() const;

    /// Overwrites all with zeroes: whoever gets the VRAM next shall not read what was swapped out. A chunk that cannot
    /// be does not keep the others from it; but a GPU that hangs does, error ETIMEDOUT.
    [[nodiscard]] Result<void> erase();

    /// The GPU does not get done what it was given: nothing of it may be taken back, and destruction ends the process.
    [[nodiscard]] bool hung() const noexcept { return errands_.hung(); }

private:
    static constexpr std::uint64_t mark_room = 4096;

    struct Map;

    CudaStore(std::uint64_t capacity, Fd map, CudaRange range, CudaErrands errands) noexcept
        : capacity_(capacity), map_(std::move(map)), range_(std::move(range)), errands_(std::move(errands)) {}

    [[nodiscard]] static Result<void> check_free(const CudaApi& api, const CudaGpu& gpu, std::uint64_t bytes);
    [[nodiscard]] static Result<CudaStore> prepare(const CudaApi& api, std::uint64_t capacity, const Map& map, Fd fd);
    [[nodiscard]] static Result<Map> plan(const CudaApi& api, const CudaGpu& gpu, std::uint64_t capacity);
    [[nodiscard]] static Result<Map> read_map(const Fd& fd);
    [[nodiscard]] static Result<Map> read_map(const Fd& fd, const CudaGpu& gpu, std::uint64_t capacity);
    [[nodiscard]] Result<void> put_mark(const Map& map);
    [[nodiscard]] Result<void> check_mark(const Map& map);

    std::uint64_t capacity_;
    Fd map_;
    CudaRange range_;
    std::vector<CudaChunk> chunks_;
    CudaErrands errands_; ///< last, so that it is destroyed first
};

} // namespace vramswap
