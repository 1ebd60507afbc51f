// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "cuda_api.hpp"
#include "cuda_copier.hpp"
#include "cuda_kernels.hpp"
#include "cuda_memory.hpp"
#include "cuda_streams.hpp"
#include "cuda_track.hpp"
#include "engine.hpp"
#include "error.hpp"
#include "fixed_queue.hpp"
#include "vramswap.h"

namespace vramswap {

/// What a CudaLane works with. All is borrowed and must outlive the lane.
struct CudaLaneParts {
    const CudaApi& api;
    cuda::Context context = nullptr;
    const CudaKernels* kernels = nullptr; ///< null if nothing asks for them
    CudaPaths paths{};
    cuda::Address store = 0;    ///< where offset 0 lies
    std::uint64_t capacity = 0; ///< bytes
    cuda::Address scratch = 0;  ///< CudaStore::scratch_size bytes to play with, in begin only
    CudaReach staging;          ///< registered with the driver
    CudaReach own;              ///< CudaLane::own_room zero bytes, not to be freed while any lane is there
    unsigned depth = 0;         ///< transfers in flight at most
};

/// Step (4) with a GPU: a copier for reads and writes, and a stream for zeroes, so that a read waits for neither of the
/// others.
///
/// So reads and writes overtake each other. That is sound because no two transfers under way ever touch the same block,
/// unless both read: the block layer promises no order between requests that are under way at once, so their senders
/// (swap through the swap cache and writeback, file systems through locked pages) never have two such. Discards do not
/// come here. And what the kernel sends again after a helper's death comes to another process, which is started when
/// the dead one's context, and with it its transfers, are gone.
///
/// Calls to the driver in submit and poll are copies, the launch of a kernel, the fill and the writing of a word. By
/// NVIDIA's design these go through doorbells mapped into the process and do not enter the kernel; tests prove that no
/// others are made, and only a GPU can prove the rest.
class CudaLane final : public Lane {
public:
    /// Host memory that a lane needs for itself: words that say what is done, and what the warm-up moves. Bytes.
    static constexpr std::size_t words_room = 8192;
    static constexpr std::size_t warm_room = VRAMSWAP_MAX_SLOT_SIZE;
    static constexpr std::size_t own_room = words_room + 2 * warm_room;

    [[nodiscard]] static Result<std::unique_ptr<CudaLane>> make(const CudaLaneParts& parts);

    CudaLane(const CudaLane&) = delete;
    CudaLane& operator=(const CudaLane&) = delete;
    CudaLane(CudaLane&&) = delete;
    CudaLane& operator=(CudaLane&&) = delete;
    ~CudaLane() override;

    [[nodiscard]] Result<void> begin() override;
    [[nodiscard]] std::size_t submit(std::span<const Transfer> transfers) noexcept override;
    [[nodiscard]] std::size_t poll(std::span<Completion> completions) noexcept override;
    [[nodiscard]] bool failed() const noexcept override { return failed_; }
    [[nodiscard]] std::string why() const override { return failed_ ? broken().message : ""; }

private:
    using Clock = std::chrono::steady_clock;

    CudaLane(const CudaLaneParts& parts, std::unique_ptr<CudaCopier> copier, CudaTrack zeroes);

    // Of transfers.
    [[nodiscard]] bool within_store(const Transfer& transfer) const noexcept;
    [[nodiscard]] bool within_staging(const Transfer& transfer) const noexcept;
    [[nodiscard]] CudaCopy copy_of(const Transfer& transfer) const noexcept;
    [[nodiscard]] std::size_t fitting(std::span<const Transfer> transfers) const noexcept;
    void start_all(std::span<const Transfer> transfers, Op op) noexcept;
    void start(Op op, std::span<const CudaCopy> copies) noexcept;
    void go_on_zeroing() noexcept;
    [[nodiscard]] bool collect() noexcept;
    void finish(std::uint32_t token, Status status) noexcept { done_.push({token, status}); }
    void fail_for(cuda::Code code) noexcept;
    void look_after(bool progress) noexcept;
    void look_after() noexcept;
    [[nodiscard]] std::size_t in_flight() const noexcept;

    // Of the warm-up.
    [[nodiscard]] Result<void> warm_up();
    [[nodiscard]] Result<void> warm_batches(CudaReach sent, CudaReach back);
    [[nodiscard]] Result<void> warm_full(CudaReach host, std::size_t at_once);
    [[nodiscard]] Result<void> round_trip(std::span<const std::byte> sent, CudaReach back);
    [[nodiscard]] Result<void> warm_zeroes(std::uint32_t length);
    [[nodiscard]] Result<void> expect(std::span<const std::byte> bytes, CudaReach back);
    [[nodiscard]] Result<void> move(Op op, CudaReach host, std::size_t length);
    [[nodiscard]] Result<void> move_pages(Op op, CudaReach host, std::size_t count);
    [[nodiscard]] Result<void> wait();
    [[nodiscard]] Error broken() const;

    CudaLaneParts parts_;
    std::unique_ptr<CudaCopier> copier_;
    CudaTrack zeroes_;
    FixedQueue<Transfer> zeroing_; ///< what is left to be started
    FixedQueue<Completion> done_;  ///< not yet polled
    std::optional<Clock::time_point> silent_since_;
    cuda::Code why_ = cuda::Code::success; ///< it failed
    bool failed_ = false;
    bool begun_ = false;
};

} // namespace vramswap
