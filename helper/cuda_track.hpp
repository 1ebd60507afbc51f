// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>
#include <span>

#include "cuda_api.hpp"
#include "cuda_memory.hpp"
#include "error.hpp"
#include "fixed_queue.hpp"

namespace vramswap {

/// A stream and what is under way in it.
///
/// Behind a run of operations the stream is told to write a number, the ticket, into a word of host memory. A stream
/// does one thing after the other, and writes the word with a barrier before it (CU_STREAM_WRITE_VALUE_DEFAULT): who
/// reads the ticket there with acquire knows that all before it is done and visible. Looking at the word is no call to
/// the driver. If an operation fails, the context breaks and nothing later in the stream is carried out, so the ticket
/// never comes; a ticket that came is the checked confirmation that Lane::poll speaks of.
class CudaTrack {
public:
    /// A token that stands for no transfer.
    static constexpr std::uint32_t nobody = UINT32_MAX;

    /// `word`: four zero bytes, at `address` for the GPU; borrowed. `room`: operations under way at most.
    [[nodiscard]] static Result<CudaTrack> make(const CudaApi& api, std::span<std::byte> word, cuda::Address address,
                                                std::size_t room);

    [[nodiscard]] cuda::Stream stream() const noexcept { return stream_.get(); }
    [[nodiscard]] std::size_t size() const noexcept { return under_way_.size(); }
    [[nodiscard]] std::size_t room() const noexcept { return under_way_.room(); }
    [[nodiscard]] bool empty() const noexcept { return under_way_.empty(); }

    /// An operation was given to the stream. There must be room.
    void started(std::uint32_t token) noexcept;

    /// Has a ticket written for all that was started since the last one; to be called after each run. Any error means
    /// that those will never be known to be done.
    [[nodiscard]] cuda::Code confirm() noexcept;

    /// The token of the oldest operation under way, if that is done; it is under way no more.
    [[nodiscard]] std::optional<std::uint32_t> take_done() noexcept;

    /// Asks the driver, if anything is under way: success, or what broke the stream. One that says it has done all has
    /// written its ticket, too, or it lies, which is an unknown error. May enter the kernel.
    [[nodiscard]] cuda::Code ask() noexcept;

    /// Waits until the stream has done all that it ever will, or for so long. False: it has not.
    [[nodiscard]] bool drain(std::chrono::milliseconds patience) const noexcept;

private:
    struct UnderWay {
        std::uint32_t token = nobody;
        std::uint32_t ticket = 0;
    };

    CudaTrack(const CudaApi& api, CudaStream stream, std::uint32_t& word, cuda::Address address, std::size_t room)
        : api_(api), stream_(std::move(stream)), word_(word), address_(address), under_way_(room) {}

    [[nodiscard]] bool reached(std::uint32_t ticket) const noexcept;

    const CudaApi& api_;
    CudaStream stream_;
    std::atomic_ref<std::uint32_t> word_;
    cuda::Address address_;
    std::uint32_t ticket_ = 0;      ///< the last that was asked for
    std::uint32_t unconfirmed_ = 0; ///< operations started since
    FixedQueue<UnderWay> under_way_;
};

} // namespace vramswap
