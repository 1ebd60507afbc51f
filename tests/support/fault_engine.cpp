// SPDX-License-Identifier: MIT
#include "fault_engine.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <iterator>

namespace vramswap::test {
namespace {

constexpr std::byte rubbish{0xA5};

} // namespace

FaultLane::FaultLane(std::span<std::byte> store, unsigned depth, const Faults& faults, LaneCounters& counters)
    : store_(store), faults_(faults), counters_(counters), random_(static_cast<std::uint32_t>(faults.seed)),
      pending_(depth) {}

std::size_t FaultLane::submit(std::span<const Transfer> transfers) noexcept {
    if (one_in(faults_.refuse_one_in))
        return 0;
    const std::size_t room = std::min<std::size_t>(pending_.size() - count_, faults_.accept_at_most);
    const auto accepted = transfers.first(std::min(transfers.size(), room));
    for (const Transfer& transfer : accepted) {
        if (transfer.op == Op::read)
            std::memset(transfer.staging, std::to_integer<int>(rubbish), transfer.length);
        const std::uint64_t range = std::max(faults_.longest_delay, faults_.shortest_delay) - faults_.shortest_delay;
        const auto delay = faults_.shortest_delay + static_cast<unsigned>(random_() % (range + 1));
        pending_[count_++] = {.transfer = transfer, .delay = delay};
    }
    counters_.submitted.fetch_add(accepted.size(), std::memory_order_relaxed);
    return accepted.size();
}

Status FaultLane::carry_out(const Transfer& transfer) noexcept {
    if (transfer.offset > store_.size() || transfer.length > store_.size() - transfer.offset)
        return Status::io_error;
    if (one_in(faults_.io_error_one_in))
        return Status::io_error;
    std::byte* const place = store_.data() + transfer.offset;
    switch (transfer.op) {
    case Op::read:
        if (one_in(faults_.lost_one_in))
            return Status::data_lost;
        std::memcpy(transfer.staging, place, transfer.length);
        break;
    case Op::write:
        std::memcpy(place, transfer.staging, transfer.length);
        std::memset(transfer.staging, std::to_integer<int>(rubbish), transfer.length); // it is the lane's until the end
        break;
    case Op::write_zeroes:
        std::memset(place, 0, transfer.length);
        break;
    }
    return Status::ok;
}

void FaultLane::end(std::size_t index, Completion& completion) noexcept {
    const Transfer& transfer = pending_[index].transfer;
    completion = {.token = transfer.token, .status = carry_out(transfer)};
    const auto begin = pending_.begin();
    std::copy(std::next(begin, static_cast<std::ptrdiff_t>(index + 1)),
              std::next(begin, static_cast<std::ptrdiff_t>(count_)),
              std::next(begin, static_cast<std::ptrdiff_t>(index)));
    --count_;
    counters_.ended.fetch_add(1, std::memory_order_relaxed);
}

std::size_t FaultLane::poll(std::span<Completion> completions) noexcept {
    std::size_t ended = 0;
    counters_.polls.fetch_add(1, std::memory_order_relaxed);
    for (std::size_t i = 0; i < count_ && ended < completions.size();) {
        const bool stuck = failed() || counters_.ended.load(std::memory_order_relaxed) >= faults_.hang_after;
        Pending& pending = pending_[i];
        pending.delay -= std::min(pending.delay, 1U);
        const bool ends = pending.delay == 0 && !stuck;
        if (ends)
            end(i, completions[ended++]);
        else if (!faults_.reorder)
            break;
        else
            ++i;
    }
    if (faults_.reorder)
        std::shuffle(completions.begin(), std::next(completions.begin(), static_cast<std::ptrdiff_t>(ended)), random_);
    return ended;
}

bool FaultLane::failed() const noexcept {
    return counters_.ended.load(std::memory_order_relaxed) >= faults_.die_after;
}

Result<void> FaultEngine::open(std::uint64_t capacity) {
    store_.assign(capacity, rubbish);
    return {};
}

Result<void> FaultEngine::adopt(std::uint64_t /*capacity*/, std::vector<InheritedFd>& /*inherited*/) {
    return fail(ENOSYS, "the test engine outlives no process");
}

Result<void> FaultEngine::bind(std::span<std::byte> /*staging*/) {
    return {};
}

Result<std::unique_ptr<Lane>> FaultEngine::lane(unsigned queue, unsigned depth) {
    Faults faults = faults_;
    faults.seed += queue;
    return std::make_unique<FaultLane>(store_, depth, faults, counters_);
}

} // namespace vramswap::test
