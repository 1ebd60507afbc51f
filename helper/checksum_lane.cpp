// SPDX-License-Identifier: MIT
#include "checksum_lane.hpp"

#include <algorithm>
#include <atomic>
#include <cassert>
#include <numeric>

#include "vramswap.h"

namespace vramswap {
namespace {

constexpr std::size_t block_size = VRAMSWAP_BLOCK_SIZE;

/// Wrong bytes that come again so often are in the store, not on the way; nor is it that another request wrote the
/// block and then the old bytes again, each time.
constexpr unsigned max_tries = 3;

/// Of one transfer with staging.
constexpr std::size_t max_blocks = VRAMSWAP_MAX_SLOT_SIZE / block_size;

std::uint64_t first_block(const Transfer& transfer) noexcept {
    return transfer.offset / block_size;
}

std::size_t blocks(const Transfer& transfer) noexcept {
    return transfer.length / block_size;
}

std::span<const std::byte> bytes_of(const Transfer& transfer, std::size_t block) noexcept {
    return {transfer.staging + block * block_size, block_size};
}

} // namespace

ChecksumLane::ChecksumLane(std::unique_ptr<Lane> lane, BlockSums& sums, unsigned depth, Damage damage)
    : lane_(std::move(lane)), table_(sums), damage_(std::move(damage)), slots_(depth), sums_(depth * max_blocks),
      free_(depth), waiting_(depth), free_count_(depth) {
    std::iota(free_.begin(), free_.end(), 0U);
    (void)BlockSums::of_zeroes();
}

/// Of what is unfinished nobody knows how far it came.
ChecksumLane::~ChecksumLane() {
    lane_.reset();
    for (std::uint32_t number = 0; number < slots_.size(); ++number)
        if (slots_[number].busy)
            end_write(number, false);
}

/// What no checksum can be said of is the engine's to refuse.
bool ChecksumLane::checked(const Transfer& transfer) const noexcept {
    return transfer.offset % block_size == 0 && transfer.length % block_size == 0 &&
           first_block(transfer) <= table_.size() && blocks(transfer) <= table_.size() - first_block(transfer) &&
           (transfer.op == Op::write_zeroes || blocks(transfer) <= max_blocks);
}

std::span<ChecksumLane::Sum> ChecksumLane::sums_of(std::uint32_t number) noexcept {
    return std::span(sums_).subspan(number * max_blocks, blocks(slots_[number].transfer));
}

/// Before the other lane may touch a byte: what is known of a read's blocks, and that a write's are being written. Then
/// the transfer waits for the lane.
void ChecksumLane::begin_slot(std::uint32_t number) noexcept {
    Transfer transfer = slots_[number].transfer;
    const std::uint64_t first = first_block(transfer);
    if (!checked(transfer)) {
        // the engine's to refuse
    } else if (transfer.op == Op::read) {
        const std::span<Sum> before = sums_of(number);
        for (std::size_t i = 0; i < before.size(); ++i)
            before[i] = table_.at(first + i);
    } else {
        for (std::size_t i = 0; i < blocks(transfer); ++i)
            table_.begin_write(first + i);
        std::atomic_thread_fence(std::memory_order_seq_cst); // who sees a byte of it sees that it began
    }
    transfer.token = number;
    waiting_[waiting_count_++] = transfer;
}

/// What a write writes.
void ChecksumLane::reckon(std::uint32_t number) noexcept {
    const Transfer& transfer = slots_[number].transfer;
    if (transfer.op != Op::write || !checked(transfer))
        return;
    const std::span<Sum> sums = sums_of(number);
    for (std::size_t i = 0; i < sums.size(); ++i)
        sums[i] = BlockSums::of(bytes_of(transfer, i));
}

void ChecksumLane::end_write(std::uint32_t number, bool good) noexcept {
    const Transfer& transfer = slots_[number].transfer;
    if (transfer.op == Op::read || !checked(transfer))
        return;
    const Sum zeroes = BlockSums::of_zeroes();
    for (std::size_t i = 0; i < blocks(transfer); ++i) {
        const Sum written = transfer.op == Op::write_zeroes ? zeroes : sums_[number * max_blocks + i];
        table_.end_write(first_block(transfer) + i, good ? written : BlockSums::unknown);
    }
}

/// Gives the other lane as much as it takes.
void ChecksumLane::feed() noexcept {
    if (waiting_count_ == 0)
        return;
    const std::span<Transfer> waiting = std::span(waiting_).first(waiting_count_);
    const std::size_t taken = lane_->submit(waiting);
    assert(taken <= waiting_count_);
    for (const Transfer& transfer : waiting.first(taken))
        reckon(transfer.token);
    std::copy(waiting.begin() + static_cast<std::ptrdiff_t>(taken), waiting.end(), waiting.begin());
    waiting_count_ -= taken;
}

std::size_t ChecksumLane::submit(std::span<const Transfer> transfers) noexcept {
    const std::size_t count = std::min(transfers.size(), free_count_);
    for (const Transfer& transfer : transfers.first(count)) {
        const std::uint32_t number = free_[--free_count_];
        slots_[number] = {.transfer = transfer, .busy = true};
        begin_slot(number);
    }
    feed();
    return count;
}

/// The first block of a read that is not what was written, counted from its own first; or none, -1. One that was
/// written meanwhile may be either.
std::int64_t ChecksumLane::first_wrong(std::uint32_t number) noexcept {
    const Transfer& transfer = slots_[number].transfer;
    const std::span<const Sum> before = sums_of(number);
    for (std::size_t i = 0; i < before.size(); ++i) {
        if (!BlockSums::is_sum(before[i]) || BlockSums::of(bytes_of(transfer, i)) == before[i])
            continue;
        std::atomic_thread_fence(std::memory_order_acquire); // the bytes were looked at before the entry is
        if (table_.at(first_block(transfer) + i) == before[i])
            return static_cast<std::int64_t>(i);
    }
    return -1;
}

/// The caller's completion, out of the other lane's. False: it is no end yet.
bool ChecksumLane::finish(Completion& completion) noexcept {
    const std::uint32_t number = completion.token;
    Slot& slot = slots_[number];
    assert(slot.busy);
    if (slot.transfer.op != Op::read) {
        end_write(number, completion.status == Status::ok);
    } else if (completion.status == Status::ok && checked(slot.transfer)) {
        if (const std::int64_t wrong = first_wrong(number); wrong >= 0) {
            if (++slot.tries < max_tries) {
                begin_slot(number);
                return false;
            }
            damage_(first_block(slot.transfer) + static_cast<std::uint64_t>(wrong));
            completion.status = Status::io_error;
        }
    }
    completion.token = slot.transfer.token;
    slot.busy = false;
    free_[free_count_++] = number;
    return true;
}

std::size_t ChecksumLane::poll(std::span<Completion> completions) noexcept {
    const std::size_t done = lane_->poll(completions);
    std::size_t ended = 0;
    for (std::size_t i = 0; i < done; ++i)
        if (Completion completion = completions[i]; finish(completion))
            completions[ended++] = completion;
    feed();
    return ended;
}

} // namespace vramswap
