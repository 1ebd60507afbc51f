// SPDX-License-Identifier: MIT
#include "cuda_streams.hpp"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cstdlib>

#include "log.hpp"

namespace vramswap {
namespace {

using cuda::Code;

/// So many single copies share a ticket: the first of many is answered while the rest is still on its way, and a ticket
/// costs little beside so many copies.
constexpr std::size_t copies_per_ticket = 16;

/// The words are apart, so that the GPU's writing of one does not disturb the reading of the other.
constexpr std::size_t line = 64;
static_assert(2 * line == CudaStreams::words_room);

/// The longest prefix that one call may take: all large, or all not.
std::span<const CudaCopy> run_of(std::span<const CudaCopy> copies) noexcept {
    const auto some = copies.first(std::min(copies.size(), cuda::most_pieces));
    const auto is_large = [](const CudaCopy& copy) { return copy.length >= CudaStreams::large; };
    const bool first = is_large(some.front());
    return {some.begin(), std::ranges::find_if(some, [&](const CudaCopy& copy) { return is_large(copy) != first; })};
}

} // namespace

void cuda_leave_hung_gpu() noexcept {
    // Which does not wait for a reader, whose memory may be in our device.
    Log::to_standard_error().error("the GPU hangs: vramswapd ends without waiting for it");
    std::_Exit(EXIT_FAILURE);
}

CudaPath CudaPaths::of(Op op, std::size_t copies) const noexcept {
    assert(copies != 0 && copies <= cuda::most_pieces);
    return (op == Op::read ? reads_ : writes_)[static_cast<std::size_t>(std::bit_width(copies)) - 1];
}

bool CudaPaths::uses(CudaPath path) const noexcept {
    return std::ranges::count(reads_, path) != 0 || std::ranges::count(writes_, path) != 0;
}

std::string CudaPaths::code() const {
    std::string code;
    for (const auto* const paths : {&reads_, &writes_})
        for (const CudaPath path : *paths)
            code += name_of(path).front();
    return code;
}

std::optional<CudaPaths> CudaPaths::of_code(std::string_view code) {
    if (code.size() != 2 * sizes)
        return std::nullopt;
    CudaPaths paths;
    for (std::size_t i = 0; i < code.size(); ++i) {
        const auto* const path =
            std::ranges::find_if(cuda_paths, [&](CudaPath one) { return name_of(one).front() == code[i]; });
        if (path == cuda_paths.end())
            return std::nullopt;
        paths.set(i < sizes ? Op::read : Op::write, i % sizes, *path);
    }
    // The program that never ends has no other path beside it.
    return paths.uses(CudaPath::poll) && paths.code() != CudaPaths(CudaPath::poll).code() ? std::nullopt
                                                                                          : std::optional(paths);
}

std::string CudaPaths::text() const {
    std::string text;
    for (const auto* const paths : {&reads_, &writes_}) {
        text += fmt::format("{} by {}", paths == &reads_ ? "reads" : "; writes", name_of(paths->front()));
        for (std::size_t i = 1; i < sizes; ++i)
            if (paths->at(i) != paths->at(i - 1))
                text += fmt::format(", from {} at once by {}", 1U << i, name_of(paths->at(i)));
    }
    return text;
}

Result<std::unique_ptr<CudaStreams>> CudaStreams::make(const CudaApi& api, const CudaKernels* kernels,
                                                       const CudaPaths& paths, const CudaReach& words,
                                                       std::size_t room) {
    assert(words.bytes.size() >= words_room && !paths.polling());
    const CudaReach second = words.part(line, line);
    auto reads = CudaTrack::make(api, words.bytes.first(line), words.address, room);
    if (!reads)
        return pass_on(reads);
    auto writes = CudaTrack::make(api, second.bytes, second.address, room);
    if (!writes)
        return pass_on(writes);
    return std::unique_ptr<CudaStreams>(new CudaStreams(api, kernels, paths, std::move(*reads), std::move(*writes)));
}

CudaCopier::Started CudaStreams::one_by_one(Op op, std::span<const CudaCopy> run) noexcept {
    CudaTrack& track = this->track(op);
    Started started;
    for (const CudaCopy& copy : run) {
        started.code = op == Op::read ? api_.MemcpyDtoHAsync(copy.host, copy.vram, copy.length, track.stream())
                                      : api_.MemcpyHtoDAsync(copy.vram, copy.host, copy.length, track.stream());
        if (started.code != Code::success)
            return started;
        track.started(copy.token);
        if (++started.count % copies_per_ticket != 0)
            continue;
        started.code = track.confirm();
        if (started.code != Code::success)
            return {.count = started.count, .code = started.code, .broken = true};
    }
    return started;
}

Code CudaStreams::as_batch(Op op, std::span<const CudaCopy> run) noexcept {
    std::array<cuda::Address, cuda::most_pieces> vram; // NOLINT(cppcoreguidelines-pro-type-member-init)
    std::array<cuda::Address, cuda::most_pieces> host; // NOLINT(cppcoreguidelines-pro-type-member-init)
    std::array<std::size_t, cuda::most_pieces> sizes;  // NOLINT(cppcoreguidelines-pro-type-member-init)
    for (std::size_t i = 0; i < run.size(); ++i) {
        vram[i] = run[i].vram;
        host[i] = run[i].host_address;
        sizes[i] = run[i].length;
    }
    cuda::CopyAttributes attributes;
    std::size_t first = 0;
    std::size_t failed = 0;
    return api_.MemcpyBatchAsync(op == Op::read ? host.data() : vram.data(), op == Op::read ? vram.data() : host.data(),
                                 sizes.data(), run.size(), &attributes, &first, 1, &failed, track(op).stream());
}

Code CudaStreams::by_kernel(Op op, std::span<const CudaCopy> run) noexcept {
    cuda::Pieces pieces; // what is behind the last is not looked at
    std::uint32_t longest = 0;
    for (std::size_t i = 0; i < run.size(); ++i) {
        pieces[i].from = op == Op::read ? run[i].vram : run[i].host_address;
        pieces[i].to = op == Op::read ? run[i].host_address : run[i].vram;
        pieces[i].length = run[i].length;
        longest = std::max(longest, run[i].length);
    }
    return kernels_->copy(track(op).stream(), pieces, static_cast<unsigned>(run.size()), longest);
}

/// Starts copies that run_of found, without a ticket for the last.
CudaCopier::Started CudaStreams::start_run(Op op, std::span<const CudaCopy> run) noexcept {
    const CudaPath path = run.front().length >= large ? CudaPath::engine : paths_.of(op, run.size());
    if (path == CudaPath::engine)
        return one_by_one(op, run);
    const Code code = path == CudaPath::batch ? as_batch(op, run) : by_kernel(op, run);
    if (code == Code::invalid_value) {
        // One of them is, or they are too many: each by itself then. If that does not help, some may be under way
        // although their batch was refused, and none must be answered.
        Started started = one_by_one(op, run);
        started.broken = started.code != Code::success;
        return started;
    }
    if (code != Code::success)
        return {.code = code, .broken = true};
    for (const CudaCopy& copy : run)
        track(op).started(copy.token);
    return {.count = run.size()};
}

CudaCopier::Started CudaStreams::start(Op op, std::span<const CudaCopy> copies) noexcept {
    Started all;
    while (all.count < copies.size() && all.code == Code::success) {
        const Started some = start_run(op, run_of(copies.subspan(all.count)));
        all.count += some.count;
        all.code = some.code;
        all.broken = some.broken || (some.code != Code::success && some.code != Code::invalid_value);
        if (all.broken)
            break;
        if (const Code code = track(op).confirm(); code != Code::success)
            return {.count = all.count, .code = code, .broken = true};
    }
    return all;
}

std::optional<std::uint32_t> CudaStreams::take_done() noexcept {
    if (const auto token = reads_.take_done())
        return token;
    return writes_.take_done();
}

Code CudaStreams::ask() noexcept {
    const Code code = reads_.ask();
    return code != Code::success ? code : writes_.ask();
}

/// Also if nothing is known to be under way: a batch that failed may have been begun.
bool CudaStreams::drain(std::chrono::milliseconds patience) noexcept {
    const bool read = reads_.drain(patience);
    return writes_.drain(patience) && read;
}

} // namespace vramswap
