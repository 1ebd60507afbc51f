// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "cuda_api.hpp"
#include "cuda_memory.hpp"
#include "cuda_track.hpp"
#include "engine.hpp"
#include "error.hpp"
#include "fixed_queue.hpp"

namespace vramswap {

/// What a CudaLane works with. All is borrowed and must outlive the lane.
struct CudaLaneParts {
    const CudaApi& api;
    cuda::Context context = nullptr;
    cuda::Address store = 0;      ///< where offset 0 lies
    std::uint64_t capacity = 0;   ///< bytes
    cuda::Address scratch = 0;    ///< CudaStore::scratch_size bytes to play with, in begin only
    std::span<std::byte> staging; ///< registered with the driver
    unsigned depth = 0;           ///< transfers in flight at most
};

/// Step (4) with the GPU's copy engines: three streams, for reads, for writes and for zeroes, so that a read waits for
/// neither of the others.
///
/// So reads and writes overtake each other. That is sound because no two transfers under way ever touch the same block,
/// unless both read: the block layer promises no order between requests that are under way at once, so their senders
/// (swap through the swap cache and writeback, file systems through locked pages) never have two such. Discards do not
/// come here. And what the kernel sends again after a helper's death comes to another process, which is started when
/// the dead one's context, and with it its transfers, are gone.
///
/// Calls to the driver in submit and poll are the two copies, the fill and the writing of a word. By NVIDIA's design
/// these go through doorbells mapped into the process and do not enter the kernel; tests prove that no others are made,
/// and only a GPU can prove the rest.
class CudaLane final : public Lane {
public:
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

    CudaLane(const CudaLaneParts& parts, CudaPinned pinned, CudaTrack reads, CudaTrack writes, CudaTrack zeroes);

    // Of transfers.
    [[nodiscard]] bool sound(const Transfer& transfer) const noexcept;
    [[nodiscard]] std::size_t fitting(std::span<const Transfer> transfers) const noexcept;
    void start_all(std::span<const Transfer> transfers, Op op) noexcept;
    void start(CudaTrack& track, const Transfer& transfer) noexcept;
    void go_on_zeroing() noexcept;
    void confirm(CudaTrack& track) noexcept;
    [[nodiscard]] bool collect(CudaTrack& track) noexcept;
    void finish(std::uint32_t token, Status status) noexcept { done_.push({token, status}); }
    void refused(cuda::Code code, std::uint32_t token) noexcept;
    void look_after(bool progress) noexcept;
    void look_after(CudaTrack& track) noexcept;
    [[nodiscard]] std::size_t in_flight() const noexcept;

    // Of the warm-up.
    [[nodiscard]] Result<void> warm_up();
    [[nodiscard]] Result<void> warm_batch(std::byte* host);
    [[nodiscard]] Result<void> round_trip(std::span<const std::byte> sent, std::byte* back);
    [[nodiscard]] Result<void> warm_zeroes(std::uint32_t length);
    [[nodiscard]] Result<void> expect(std::span<const std::byte> bytes, std::byte* back);
    [[nodiscard]] Result<void> move(CudaTrack& track, std::byte* host, std::size_t length);
    [[nodiscard]] Result<void> wait(CudaTrack& track);
    [[nodiscard]] Error broken() const;

    CudaLaneParts parts_;
    CudaPinned pinned_; ///< a line for each track's word, then room for the warm-up
    CudaTrack reads_;
    CudaTrack writes_;
    CudaTrack zeroes_;
    FixedQueue<Transfer> zeroing_; ///< what is left to be started
    FixedQueue<Completion> done_;  ///< not yet polled
    std::optional<Clock::time_point> silent_since_;
    cuda::Code why_ = cuda::Code::success; ///< it failed
    bool failed_ = false;
    bool begun_ = false;
};

} // namespace vramswap
