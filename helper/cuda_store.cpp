// SPDX-License-Identifier: MIT
#include "cuda_store.hpp"

#include <algorithm>
#include <cerrno>
#include <limits>

#include <sys/random.h>
#include <unistd.h>

#include "memory_file.hpp"
#include "policy.hpp"
#include "size.hpp"

namespace vramswap {
namespace {

using cuda::Code;

constexpr std::uint64_t magic = 0x3170616d61727673; // "svramap1" in memory on little-endian machines
constexpr std::uint32_t version = 1;

/// The descriptor kept under `name`, taken out of the list; none if there is none.
Fd take(std::vector<InheritedFd>& inherited, std::string_view name) {
    const auto kept =
        std::ranges::find_if(inherited, [&](const InheritedFd& one) { return one.name == name && one.fd; });
    return kept == inherited.end() ? Fd() : std::move(kept->fd);
}

std::string chunk_name_of(unsigned number) {
    return fmt::format("{}{}", CudaStore::chunk_name, number);
}

} // namespace

/// The map as it lies in its file. Read by later versions of this program: a change is a new version.
struct CudaStore::Map {
    std::uint64_t magic = 0;
    std::uint32_t version = 0;
    std::uint32_t count = 0; ///< chunks
    std::uint64_t capacity = 0;
    std::uint64_t size = 0; ///< of all chunks but the last, bytes
    std::uint64_t last = 0; ///< bytes
    cuda::Uuid gpu;
    std::array<std::byte, 64> mark{};

    /// Bytes in all chunks.
    [[nodiscard]] std::uint64_t total() const noexcept { return (count - 1) * size + last; }
    [[nodiscard]] std::uint64_t size_of(unsigned chunk) const noexcept { return chunk + 1 == count ? last : size; }
};

Result<CudaStore::Map> CudaStore::plan(const CudaApi& api, const CudaGpu& gpu, std::uint64_t capacity) {
    static_assert(sizeof(Map) == 120);
    std::size_t granule = 0;
    const cuda::AllocationProp prop{.location = {.id = gpu.device}};
    if (const Code code = api.MemGetAllocationGranularity(&granule, &prop, cuda::granularity_minimum);
        code != Code::success || granule == 0)
        return fail(EIO, "{} does not tell in which portions it gives memory: {}", gpu.text(), api.text(code));
    const policy::Chunks chunks = policy::chunks(capacity + mark_room + scratch_size, granule);
    Map map{.magic = magic,
            .version = vramswap::version,
            .count = chunks.count,
            .capacity = capacity,
            .size = chunks.size,
            .last = chunks.last,
            .gpu = gpu.uuid};
    if (::getrandom(map.mark.data(), map.mark.size(), 0) != static_cast<ssize_t>(map.mark.size()))
        return fail(errno, "no random numbers are to be had: {}", errno_text(errno));
    return map;
}

Result<CudaStore::Memory> CudaStore::memory(const CudaApi& api, const CudaGpu& gpu) {
    Memory memory;
    if (const Code code = api.MemGetInfo(&memory.free, &memory.total); code != Code::success)
        return fail(EIO, "{} does not tell how much memory it has: {}", gpu.text(), api.text(code));
    return memory;
}

/// Asked for in advance, so that nothing is taken in vain and the sentence has the numbers.
Result<void> CudaStore::check_free(const CudaApi& api, const CudaGpu& gpu, std::uint64_t bytes) {
    auto has = memory(api, gpu);
    if (!has)
        return pass_on(has);
    if (bytes > has->free)
        return fail(ENOMEM,
                    "{} has {} MiB of its {} MiB free, but {} MiB are asked for; choose a smaller --size, or end "
                    "programs that use it (nvidia-smi)",
                    gpu.text(), has->free >> 20, has->total >> 20, (bytes + (1U << 20) - 1) >> 20);
    return {};
}

Result<void> CudaStore::check_room(const CudaApi& api, const CudaGpu& gpu, std::uint64_t capacity) {
    const auto map = plan(api, gpu, capacity);
    if (!map)
        return std::unexpected(map.error());
    return check_free(api, gpu, map->total());
}

/// An empty range for the chunks of `map`, and the means to fill it.
Result<CudaStore> CudaStore::prepare(const CudaApi& api, std::uint64_t capacity, const Map& map, Fd fd) {
    auto range = CudaRange::make(api, map.total());
    if (!range)
        return pass_on(range);
    auto errands = CudaErrands::make(api);
    if (!errands)
        return pass_on(errands);
    CudaStore store(capacity, std::move(fd), std::move(*range), std::move(*errands));
    store.chunks_.reserve(map.count);
    return store;
}

Result<CudaStore> CudaStore::make(const CudaApi& api, const CudaGpu& gpu, std::uint64_t capacity) {
    const auto map = plan(api, gpu, capacity);
    if (!map)
        return std::unexpected(map.error());
    if (auto room = check_free(api, gpu, map->total()); !room)
        return pass_on(room);
    auto fd = make_memory_file("vramswap-vram-map", sizeof(Map));
    if (!fd)
        return pass_on(fd);
    if (::pwrite(fd->get(), &*map, sizeof *map, 0) != sizeof *map)
        return fail(errno, "could not write the map of the GPU's memory: {}", errno_text(errno));
    auto store = prepare(api, capacity, *map, std::move(*fd));
    if (!store)
        return store;
    for (unsigned i = 0; i < map->count; ++i) {
        auto chunk = CudaChunk::make(api, gpu.device, store->address() + i * map->size, map->size_of(i));
        if (!chunk)
            return pass_on(chunk);
        store->chunks_.push_back(std::move(*chunk));
    }
    // Rule: nobody reads what another program left in the VRAM.
    if (auto ready = in_turn([&] { return store->erase(); }, [&] { return store->put_mark(*map); }); !ready)
        return pass_on(ready);
    return store;
}

Result<CudaStore::Map> CudaStore::read_map(const Fd& fd) {
    Map map;
    if (!fd)
        return fail(ENOENT, "the map of the GPU's memory was not kept");
    if (::pread(fd.get(), &map, sizeof map, 0) != sizeof map || map.magic != magic ||
        map.version != vramswap::version || map.count == 0 || map.count > policy::max_chunks)
        return fail(EPROTO, "what was kept as a map of the GPU's memory is none that this vramswapd knows");
    return map;
}

/// The same, of these contents.
Result<CudaStore::Map> CudaStore::read_map(const Fd& fd, const CudaGpu& gpu, std::uint64_t capacity) {
    auto map = read_map(fd);
    if (!map)
        return map;
    if (map->capacity != capacity)
        return fail(ERANGE, "{} of the GPU's memory were kept, but the contents held are {}", size_text(map->capacity),
                    size_text(capacity));
    if (map->gpu != gpu.uuid)
        return fail(EPROTO, "the contents are in another GPU, {}", cuda_uuid_text(map->gpu));
    if (map->total() < capacity + mark_room + scratch_size)
        return fail(EPROTO, "the map of the GPU's memory contradicts itself");
    return map;
}

Result<CudaStore> CudaStore::adopt(const CudaApi& api, const CudaGpu& gpu, std::uint64_t capacity,
                                   std::vector<InheritedFd>& inherited) {
    Fd fd = take(inherited, map_name);
    const auto map = read_map(fd, gpu, capacity);
    if (!map)
        return std::unexpected(map.error());
    auto store = prepare(api, capacity, *map, std::move(fd));
    if (!store)
        return store;
    for (unsigned i = 0; i < map->count; ++i) {
        Fd memory = take(inherited, chunk_name_of(i));
        if (!memory)
            return fail(ENOENT, "of the GPU's memory, chunk {} of {} was not kept", i, map->count);
        auto chunk =
            CudaChunk::adopt(api, gpu.device, store->address() + i * map->size, map->size_of(i), std::move(memory));
        if (!chunk)
            return pass_on(chunk);
        store->chunks_.push_back(std::move(*chunk));
    }
    if (auto same = store->check_mark(*map); !same)
        return pass_on(same);
    return store;
}

Result<std::vector<CudaStore::Remains>> CudaStore::take_remains(const CudaApi& api, const CudaGpu& gpu,
                                                                std::uint64_t capacity,
                                                                std::vector<InheritedFd>& inherited) {
    auto map = read_map(take(inherited, map_name));
    if (!map)
        map = plan(api, gpu, capacity);
    if (!map)
        return pass_on(map);
    std::vector<Remains> remains;
    remains.reserve(map->count);
    for (unsigned i = 0; i < map->count; ++i)
        remains.push_back({.fd = take(inherited, chunk_name_of(i)), .size = map->size_of(i)});
    return remains;
}

Result<void> CudaStore::put_mark(const Map& map) {
    return errands_.write(address() + capacity_, map.mark);
}

Result<void> CudaStore::check_mark(const Map& map) {
    std::array<std::byte, sizeof map.mark> found{};
    if (auto done = errands_.read(found, address() + capacity_); !done)
        return done;
    if (found != map.mark)
        return fail(ENODEV, "the GPU lost the contents: its memory is there, but not what was in it (was it reset, or "
                            "asleep?)");
    return {};
}

std::vector<KeptFd> CudaStore::kept() const {
    std::vector<KeptFd> fds{{.name = std::string(map_name), .fd = map_.get()}};
    for (unsigned i = 0; i < chunks_.size(); ++i)
        fds.push_back({.name = chunk_name_of(i), .fd = chunks_[i].fd()});
    return fds;
}

Result<void> CudaStore::erase() {
    Result<void> all;
    for (const CudaChunk& chunk : chunks_)
        if (auto done = errands_.zero(chunk.address(), chunk.size()); !done && all)
            all = std::move(done);
    return all;
}

} // namespace vramswap
