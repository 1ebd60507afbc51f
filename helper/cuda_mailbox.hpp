// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "cuda_api.hpp"
#include "cuda_copier.hpp"
#include "cuda_kernels.hpp"
#include "cuda_memory.hpp"
#include "error.hpp"

namespace vramswap {

/// Copies by a program on the GPU that looks for them itself: no call to the driver for any, and nothing to be started.
/// It keeps some of the GPU's processors busy for as long as it lives, and the GPU awake.
///
/// The mailbox is host memory: entries, and a word of answer for each. An entry is used once a turn, in a circle, so
/// its n-th use is turn n. We write the copy into it, then the turn, with release; the program that sees the turn, with
/// acquire, sees the copy, and the bytes to be copied. When it has copied it writes the turn to the answer, with
/// release at the system's scope; who sees that, with acquire, sees the bytes. Turns wrap around; an entry's next turn
/// is not posted before the last was answered.
class CudaMailbox final : public CudaCopier {
public:
    /// Entries, and so the copies under way at most; and blocks of threads that serve them, each every 8th entry.
    /// Eight: enough that long copies do not hold up short ones behind them, and few of the GPU's processors.
    static constexpr unsigned entries = 256;
    static constexpr unsigned blocks = 8;
    static_assert(entries % blocks == 0);

    /// So many bytes lie in the mailbox.
    static constexpr std::size_t room_for_all = entries * (sizeof(cuda::Piece) + sizeof(std::uint32_t));

    /// Borrows `kernels` and `box`, room_for_all zero bytes at least. That must not be freed while any program of this
    /// context runs, another lane's or this one's: the driver waits for them then.
    [[nodiscard]] static Result<std::unique_ptr<CudaMailbox>> make(const CudaApi& api, const CudaKernels& kernels,
                                                                   const CudaReach& box);

    CudaMailbox(const CudaMailbox&) = delete;
    CudaMailbox& operator=(const CudaMailbox&) = delete;
    CudaMailbox(CudaMailbox&&) = delete;
    CudaMailbox& operator=(CudaMailbox&&) = delete;
    ~CudaMailbox() override = default;

    /// Half of what is free: the other half is for the other direction, and callers need not know that it is one room.
    [[nodiscard]] std::size_t room(Op /*op*/) const noexcept override { return (entries - used_) / 2; }
    [[nodiscard]] std::size_t size() const noexcept override { return under_way_; }

    /// Starts the program.
    [[nodiscard]] cuda::Code begin() noexcept override;
    [[nodiscard]] Started start(Op op, std::span<const CudaCopy> copies) noexcept override;
    [[nodiscard]] std::optional<std::uint32_t> take_done() noexcept override;
    [[nodiscard]] cuda::Code ask() noexcept override;
    [[nodiscard]] bool drain(std::chrono::milliseconds patience) noexcept override;

private:
    struct Posted {
        std::uint32_t token = 0;
        std::uint32_t turn = 0; ///< the last one, used or not
        bool waiting = false;
    };

    CudaMailbox(const CudaApi& api, const CudaKernels& kernels, const CudaReach& box, CudaStream stream)
        : api_(api), kernels_(kernels), box_(box), stream_(std::move(stream)), posted_(entries) {}

    void post(const cuda::Piece& piece, std::uint32_t token) noexcept;
    [[nodiscard]] bool answered(unsigned entry) noexcept;

    const CudaApi& api_;
    const CudaKernels& kernels_;
    CudaReach box_;
    CudaStream stream_;
    std::vector<Posted> posted_;
    unsigned first_ = 0;     ///< the oldest entry in use
    unsigned used_ = 0;      ///< entries from there on: posted, and answered or not
    unsigned look_ = 0;      ///< of those, where to look next
    unsigned under_way_ = 0; ///< of those, not answered
    bool stopping_ = false;
};

} // namespace vramswap
