// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "cuda_types.hpp"
#include "engine.hpp"

namespace vramswap {

/// One copy between host memory and VRAM. Both places are known to be ours.
struct CudaCopy {
    cuda::Address vram = 0;
    std::byte* host = nullptr;
    cuda::Address host_address = 0; ///< the same as the GPU sees it
    std::uint32_t length = 0;       ///< bytes
    std::uint32_t token = 0;        ///< the caller's own
};

/// What makes the copies of one lane. Used by the lane's thread alone, which has the GPU's context.
class CudaCopier {
public:
    CudaCopier() = default;
    CudaCopier(const CudaCopier&) = delete;
    CudaCopier& operator=(const CudaCopier&) = delete;
    CudaCopier(CudaCopier&&) = delete;
    CudaCopier& operator=(CudaCopier&&) = delete;

    /// Nothing may be under way: see drain.
    virtual ~CudaCopier() = default;

    /// What became of some copies.
    struct Started {
        std::size_t count = 0;                 ///< so many of the first were started
        cuda::Code code = cuda::Code::success; ///< what stopped it at the one behind them
        bool broken = false;                   ///< nothing will be done any more, perhaps not even what was started
    };

    /// How many copies can be started, Op::read or Op::write.
    [[nodiscard]] virtual std::size_t room(Op op) const noexcept = 0;

    /// Copies that are under way.
    [[nodiscard]] virtual std::size_t size() const noexcept = 0;

    /// By the lane's thread, before the first copy; all that could wait for another lane's work has been done before.
    [[nodiscard]] virtual cuda::Code begin() noexcept { return cuda::Code::success; }

    /// Starts copies, in no order, all in the direction of `op`. There must be room.
    [[nodiscard]] virtual Started start(Op op, std::span<const CudaCopy> copies) noexcept = 0;

    /// The token of some copy that is done, its bytes in their final place and visible; it is under way no more.
    [[nodiscard]] virtual std::optional<std::uint32_t> take_done() noexcept = 0;

    /// Asks the driver, which may take time: success, or what broke it.
    [[nodiscard]] virtual cuda::Code ask() noexcept = 0;

    /// Waits until the GPU does nothing more for us, or for so long. False: it still does.
    [[nodiscard]] virtual bool drain(std::chrono::milliseconds patience) noexcept = 0;
};

/// Host memory that the GPU reaches.
struct CudaReach {
    std::span<std::byte> bytes;
    cuda::Address address = 0; ///< where the GPU sees it

    [[nodiscard]] CudaReach part(std::size_t offset, std::size_t length) const {
        return {.bytes = bytes.subspan(offset, length), .address = address + offset};
    }
};

/// For a GPU that does not let go of memory that it was given: ends the process, with a word why. The end of a process,
/// and of all that it shares with the GPU, is the driver's to bring about.
[[noreturn]] void cuda_leave_hung_gpu() noexcept;

} // namespace vramswap
