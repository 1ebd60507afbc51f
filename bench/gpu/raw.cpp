// SPDX-License-Identifier: MIT
#include <array>
#include <cerrno>
#include <thread>

#include <dlfcn.h>

#include <fmt/format.h>

#include <helper/cuda_memory.hpp>

#include "bare.hpp"
#include "hardware.hpp"
#include "measure.hpp"

namespace vramswap::bench {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using cuda::Code;

constexpr std::size_t large = 64ULL << 20;
constexpr std::size_t page = VRAMSWAP_BLOCK_SIZE;

double seconds_since(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
}

Error refused(const BareGpu& bare, Code code) {
    return {.code = EIO, .message = fmt::format("a raw copy failed: {}", bare.api.text(code))};
}

const char* direction(bool to_gpu) {
    return to_gpu ? "host to GPU" : "GPU to host";
}

/// Until the time is up; the link is looked at while copies are under way, for it slows down when the GPU rests.
Result<Raw> pinned_copies(const Setting& setting, const BareGpu& bare, const CudaPinned& pinned,
                          const CudaStream& stream, bool to_gpu) {
    const auto start = Clock::now();
    Raw raw{.what = fmt::format("pinned 64 MiB, {}", direction(to_gpu))};
    std::uint64_t copies = 0;
    while (Clock::now() - start < setting.time) {
        constexpr unsigned batch = 8;
        Code code = Code::success;
        for (unsigned i = 0; i < batch && code == Code::success; ++i)
            code = to_gpu
                       ? bare.api.MemcpyHtoDAsync(bare.store().address(), pinned.bytes().data(), large, stream.get())
                       : bare.api.MemcpyDtoHAsync(pinned.bytes().data(), bare.store().address(), large, stream.get());
        if (code == Code::success)
            raw.link = pcie_link(bare.gpu);
        if (code == Code::success)
            code = bare.api.StreamSynchronize(stream.get());
        if (code != Code::success)
            return std::unexpected(refused(bare, code));
        copies += batch;
    }
    const double seconds = seconds_since(start);
    raw.bytes_per_second = static_cast<double>(copies) * large / seconds;
    raw.per_second = static_cast<double>(copies) / seconds;
    return raw;
}

/// cuMemcpyHtoD and cuMemcpyDtoH, which the helper has no use for.
struct Synchronous {
    explicit Synchronous(const std::string& libcuda) {
        void* const library = ::dlopen(libcuda.c_str(), RTLD_NOW | RTLD_LOCAL);
        to = reinterpret_cast<decltype(to)>(::dlsym(library, "cuMemcpyHtoD_v2"));
        from = reinterpret_cast<decltype(from)>(::dlsym(library, "cuMemcpyDtoH_v2"));
    }

    Code (*to)(cuda::Address, const void*, std::size_t) = nullptr;
    Code (*from)(void*, cuda::Address, std::size_t) = nullptr;
};

/// What one thread copied.
struct Part {
    Histogram latency;
    Code code = Code::success;
};

/// Page after page, in some order, within a part of the VRAM: until the time is up.
void copy_pages(const Setting& setting, const BareGpu& bare, const Synchronous& calls, bool to_gpu,
                std::pair<std::size_t, std::size_t> part, Part& done) {
    const auto [number, of] = part;
    const std::size_t pages = bare.store().capacity() / page / of;
    const cuda::Address first = bare.store().address() + number * pages * page;
    std::array<std::byte, page> bytes{};
    done.code = bare.api.CtxSetCurrent(bare.context().get());
    const auto start = Clock::now();
    for (std::uint64_t i = 1; done.code == Code::success && Clock::now() - start < setting.time; ++i) {
        const cuda::Address place = first + i * 7919 % pages * page; // a prime: all over the place
        const auto before = Clock::now();
        done.code = to_gpu ? calls.to(place, bytes.data(), page) : calls.from(bytes.data(), place, page);
        done.latency.add(static_cast<std::uint64_t>((Clock::now() - before) / 1ns));
    }
}

Result<Raw> synchronous_copies(const Setting& setting, const BareGpu& bare, unsigned threads, bool to_gpu) {
    const Synchronous calls(setting.libcuda);
    if (calls.to == nullptr || calls.from == nullptr)
        return fail(ENOSYS, "the driver has no synchronous copies");
    std::vector<Part> parts(threads);
    const auto start = Clock::now();
    {
        std::vector<std::jthread> all;
        all.reserve(threads);
        for (unsigned i = 0; i < threads; ++i)
            all.emplace_back([&, i] { copy_pages(setting, bare, calls, to_gpu, {i, threads}, parts[i]); });
    }
    const double seconds = seconds_since(start);
    Histogram latency;
    for (const Part& part : parts) {
        if (part.code != Code::success)
            return std::unexpected(refused(bare, part.code));
        latency.add(part.latency);
    }
    const double per_second = static_cast<double>(latency.count()) / seconds;
    return Raw{.what = fmt::format("synchronous 4 KiB, {}, {}", direction(to_gpu),
                                   threads == 1 ? "one thread" : fmt::format("{} threads", threads)),
               .bytes_per_second = per_second * page,
               .per_second = per_second,
               .p50_ns = latency.quantile(0.5),
               .p99_ns = latency.quantile(0.99)};
}

} // namespace

Result<std::vector<Raw>> measure_raw(const Setting& setting) {
    const auto bare = BareGpu::make(setting, large);
    if (!bare)
        return std::unexpected(bare.error());
    const auto pinned = CudaPinned::make((*bare)->api, large);
    if (!pinned)
        return std::unexpected(pinned.error());
    const auto stream = CudaStream::make((*bare)->api);
    if (!stream)
        return std::unexpected(stream.error());
    std::vector<Raw> all;
    const auto keep = [&](Result<Raw> raw) -> Result<void> {
        if (!raw)
            return pass_on(raw);
        all.push_back(std::move(*raw));
        return {};
    };
    for (const bool to_gpu : {true, false})
        if (auto kept = keep(pinned_copies(setting, **bare, *pinned, *stream, to_gpu)); !kept)
            return pass_on(kept);
    for (const unsigned threads : {1U, 4U})
        for (const bool to_gpu : {true, false})
            if (auto kept = keep(synchronous_copies(setting, **bare, threads, to_gpu)); !kept)
                return pass_on(kept);
    return all;
}

} // namespace vramswap::bench
