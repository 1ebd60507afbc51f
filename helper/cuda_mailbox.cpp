// SPDX-License-Identifier: MIT
#include "cuda_mailbox.hpp"

#include <algorithm>
#include <atomic>
#include <cassert>
#include <thread>

namespace vramswap {
namespace {

using cuda::Code;

/// Where the answers lie, behind the entries.
constexpr std::size_t answers_at = CudaMailbox::entries * sizeof(cuda::Piece);

} // namespace

Result<std::unique_ptr<CudaMailbox>> CudaMailbox::make(const CudaApi& api, const CudaKernels& kernels,
                                                       const CudaReach& box) {
    assert(box.bytes.size() >= room_for_all);
    auto stream = CudaStream::make(api);
    if (!stream)
        return pass_on(stream);
    return std::unique_ptr<CudaMailbox>(new CudaMailbox(api, kernels, box, std::move(*stream)));
}

Code CudaMailbox::begin() noexcept {
    return kernels_.poll(stream_.get(), box_.address, box_.address + answers_at, entries, blocks);
}

/// Uses the next entry. There must be one.
void CudaMailbox::post(const cuda::Piece& piece, std::uint32_t token) noexcept {
    assert(used_ < entries);
    const unsigned entry = (first_ + used_) % entries;
    ++used_;
    ++under_way_;
    Posted& posted = posted_[entry];
    posted = {.token = token, .turn = posted.turn + 1, .waiting = true};
    auto& place = *reinterpret_cast<cuda::Piece*>(box_.bytes.data() + entry * sizeof(cuda::Piece));
    place.from = piece.from;
    place.to = piece.to;
    place.length = piece.length;
    std::atomic_ref(place.turn).store(posted.turn, std::memory_order_release);
}

CudaCopier::Started CudaMailbox::start(Op op, std::span<const CudaCopy> copies) noexcept {
    for (const CudaCopy& copy : copies)
        post({.from = op == Op::read ? copy.vram : copy.host_address,
              .to = op == Op::read ? copy.host_address : copy.vram,
              .length = copy.length},
             copy.token);
    return {.count = copies.size()};
}

bool CudaMailbox::answered(unsigned entry) noexcept {
    auto& word = *reinterpret_cast<std::uint32_t*>(box_.bytes.data() + answers_at + entry * sizeof(std::uint32_t));
    return std::atomic_ref(word).load(std::memory_order_acquire) == posted_[entry].turn;
}

std::optional<std::uint32_t> CudaMailbox::take_done() noexcept {
    for (; look_ < used_; ++look_) {
        Posted& posted = posted_[(first_ + look_) % entries];
        if (!posted.waiting || !answered((first_ + look_) % entries))
            continue;
        posted.waiting = false;
        --under_way_;
        return posted.token;
    }
    look_ = 0; // all have been looked at: the oldest that are done make room
    while (used_ != 0 && !posted_[first_].waiting) {
        first_ = (first_ + 1) % entries;
        --used_;
    }
    return std::nullopt;
}

/// The program does not end but when it is told to.
Code CudaMailbox::ask() noexcept {
    const Code code = api_.StreamQuery(stream_.get());
    if (code == Code::not_ready)
        return Code::success;
    return code == Code::success ? Code::unknown : code;
}

bool CudaMailbox::drain(std::chrono::milliseconds patience) noexcept {
    const auto until = std::chrono::steady_clock::now() + patience;
    const auto more_time = [&] {
        std::this_thread::yield();
        return std::chrono::steady_clock::now() < until;
    };
    Code code = api_.StreamQuery(stream_.get());
    while (code == Code::not_ready && used_ != 0 && !stopping_) {
        while (take_done()) {
        }
        if (used_ != 0 && !more_time())
            return false;
        code = api_.StreamQuery(stream_.get());
    }
    for (unsigned i = 0; i < blocks && !stopping_ && code == Code::not_ready; ++i)
        post({.length = cuda::poll_stop}, 0); // to each block, for they take turns
    stopping_ = true;
    while (api_.StreamQuery(stream_.get()) == Code::not_ready)
        if (!more_time())
            return false;
    return true;
}

} // namespace vramswap
