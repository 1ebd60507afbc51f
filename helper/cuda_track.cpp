// SPDX-License-Identifier: MIT
#include "cuda_track.hpp"

#include <cassert>
#include <thread>

namespace vramswap {

Result<CudaTrack> CudaTrack::make(const CudaApi& api, std::span<std::byte> word, cuda::Address address,
                                  std::size_t room) {
    assert(word.size() >= sizeof(std::uint32_t));
    auto stream = CudaStream::make(api);
    if (!stream)
        return pass_on(stream);
    return CudaTrack(api, std::move(*stream), reinterpret_cast<std::uint32_t&>(word.front()), address, room);
}

void CudaTrack::started(std::uint32_t token) noexcept {
    under_way_.push({.token = token, .ticket = ticket_ + 1});
    ++unconfirmed_;
}

cuda::Code CudaTrack::confirm() noexcept {
    if (unconfirmed_ == 0)
        return cuda::Code::success;
    unconfirmed_ = 0;
    return api_.StreamWriteValue32(stream(), address_, ++ticket_, cuda::stream_write_default);
}

bool CudaTrack::drain(std::chrono::milliseconds patience) const noexcept {
    const auto until = std::chrono::steady_clock::now() + patience;
    while (api_.StreamQuery(stream()) == cuda::Code::not_ready) {
        if (std::chrono::steady_clock::now() >= until)
            return false;
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return true;
}

cuda::Code CudaTrack::ask() noexcept {
    if (under_way_.empty())
        return cuda::Code::success;
    const cuda::Code code = api_.StreamQuery(stream());
    if (code == cuda::Code::not_ready)
        return cuda::Code::success;
    return code == cuda::Code::success && !reached(under_way_.front().ticket) ? cuda::Code::unknown : code;
}

/// Tickets wrap around. There are far fewer than 2^31 under way, so the difference has the right sign.
bool CudaTrack::reached(std::uint32_t ticket) const noexcept {
    const std::uint32_t seen = word_.load(std::memory_order_acquire);
    return static_cast<std::int32_t>(seen - ticket) >= 0;
}

std::optional<std::uint32_t> CudaTrack::take_done() noexcept {
    if (under_way_.empty() || !reached(under_way_.front().ticket))
        return std::nullopt;
    const std::uint32_t token = under_way_.front().token;
    under_way_.pop();
    return token;
}

} // namespace vramswap
