// SPDX-License-Identifier: MIT
#include "io_loop.hpp"

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <chrono>
#include <ctime>
#include <optional>

#include "probes.hpp"

namespace vramswap {
namespace {

using Clock = std::chrono::steady_clock; // read from the vDSO: no system call
using policy::EndCause;

/// How often drain polls once its patience for quick transfers is over: with poll_delay's sleeps about two seconds. A
/// copy takes microseconds; one that is still not over is stuck for good.
constexpr unsigned drain_polls = 5000;

/// Looks at the SQ tail, with a pause each, between two looks at the clock.
constexpr unsigned looks_per_clock = 16;

/// The kernel is told at once of what is finished, unless that and all that is still to be done are no more than this,
/// bytes: eight pages. A submitter that keeps a deep queue then gets its answers by the handful, for one call of ours
/// and one of its own, and nobody waits for longer than eight page copies take.
constexpr std::uint64_t handful = 32UL << 10;

/// CQEs that the ENTER which waits may be told of by the way: what ending them takes does not count as time asleep.
constexpr std::size_t few = 4;

void pause() noexcept {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("isb" ::: "memory"); // NOLINT(hicpp-no-assembler): what others use as arm64's pause
#else
    std::atomic_signal_fence(std::memory_order_seq_cst);
#endif
}

void delay(const policy::PollDelay& how) noexcept {
    for (unsigned i = 0; i < how.pauses; ++i)
        pause();
    if (how.sleep.count() != 0) {
        const timespec time{.tv_sec = 0, .tv_nsec = std::chrono::nanoseconds(how.sleep).count()};
        (void)::nanosleep(&time, nullptr);
    }
}

std::optional<Op> op_of(std::uint8_t opcode) noexcept {
    switch (opcode) {
    case VRAMSWAP_OP_READ:
        return Op::read;
    case VRAMSWAP_OP_WRITE:
        return Op::write;
    case VRAMSWAP_OP_WRITE_ZEROES:
        return Op::write_zeroes;
    default:
        return std::nullopt;
    }
}

std::uint16_t status_word(Status status) noexcept {
    switch (status) {
    case Status::ok:
        return VRAMSWAP_STATUS_OK;
    case Status::data_lost:
        return VRAMSWAP_STATUS_DATA_LOST;
    case Status::io_error:
        break;
    }
    return VRAMSWAP_STATUS_IO_ERROR;
}

} // namespace

IoLoop::IoLoop(const IoLoopParts& parts)
    : parts_(parts), table_(parts.slots), waiting_(parts.slots), completions_(parts.slots) {
    assert(parts.staging.size() >= std::size_t{parts.slots} * parts.slot_size);
}

/// Notes why the loop ends; the first reason stays.
void IoLoop::end(EndCause cause, int code) noexcept {
    if (ended_)
        return;
    ended_ = true;
    end_ = {.cause = cause, .code = code};
}

/// (3) Turns one SQE into a transfer that waits for the lane. False if the kernel cannot have meant it: the slot or the
/// staging would not be ours to touch. Offset and length within the store are the engine's to check.
bool IoLoop::accept(const vramswap_sqe& sqe) noexcept {
    const auto op = op_of(sqe.opcode);
    const bool staged = op != Op::write_zeroes;
    if (!op || sqe.slot >= table_.size() || table_[sqe.slot].state != SlotState::kernels ||
        (staged && sqe.length > parts_.slot_size))
        return false;
    VRAMSWAP_PROBE(sqe_taken, parts_.queue, sqe.slot, sqe.generation);
    table_[sqe.slot] = {.generation = sqe.generation, .length = sqe.length, .state = SlotState::ours};
    unanswered_bytes_ += sqe.length;
    waiting_[waiting_count_++] = {
        .offset = sqe.offset,
        .staging = staged ? parts_.staging.data() + std::size_t{sqe.slot} * parts_.slot_size : nullptr,
        .length = sqe.length,
        .token = sqe.slot,
        .op = *op,
    };
    return true;
}

/// (3) Takes all SQEs that wait: at most one for each slot, so `waiting_` has room.
std::uint32_t IoLoop::take() noexcept {
    const std::uint32_t count = parts_.ring.peek();
    for (std::uint32_t n = 0; n < count; ++n)
        if (!accept(parts_.ring.read(n))) {
            end(EndCause::ring, 0);
            return n;
        }
    parts_.ring.release(count);
    return count;
}

/// (4) Gives the lane as much as it takes; the rest stays in its order.
std::size_t IoLoop::submit() noexcept {
    if (waiting_count_ == 0)
        return 0;
    const std::span<const Transfer> waiting(waiting_.data(), waiting_count_);
    const std::size_t taken = parts_.lane.submit(waiting);
    assert(taken <= waiting_count_);
    for (const Transfer& transfer : waiting.first(taken))
        VRAMSWAP_PROBE(engine_submit, parts_.queue, transfer.token, table_[transfer.token].generation);
    std::copy(waiting.begin() + static_cast<std::ptrdiff_t>(taken), waiting.end(), waiting_.begin());
    waiting_count_ -= taken;
    in_lane_ += taken;
    return taken;
}

/// (5) Writes one CQE and gives the slot back.
void IoLoop::answer(std::uint32_t number, const Completion& completion) noexcept {
    Slot& slot = table_[completion.token];
    assert(slot.state == SlotState::ours);
    VRAMSWAP_PROBE(engine_done, parts_.queue, completion.token, slot.generation);
    slot.state = SlotState::kernels;
    parts_.ring.write(number, {.slot = static_cast<std::uint16_t>(completion.token),
                               .status = status_word(completion.status),
                               .generation = slot.generation});
}

/// (4) Asks the lane for what it has finished, and (5) publishes the answers. The kernel is to be told, unless a
/// submitter that waits for one takes them.
std::size_t IoLoop::publish() noexcept {
    if (in_lane_ == 0)
        return 0;
    const std::size_t done = parts_.lane.poll(completions_);
    assert(done <= in_lane_);
    if (done == 0)
        return 0;
    const auto count = static_cast<std::uint32_t>(done);
    const std::uint32_t first = parts_.ring.reserve(count);
    std::uint64_t bytes = 0;
    for (std::uint32_t i = 0; i < count; ++i) {
        answer(first + i, completions_[i]);
        bytes += table_[completions_[i].token].length;
    }
    unanswered_bytes_ -= bytes;
    parts_.ring.submit(count);
    for (std::uint32_t i = 0; i < count; ++i)
        VRAMSWAP_PROBE(cqe_published, parts_.queue, completions_[i].token, table_[completions_[i].token].generation);
    in_lane_ -= done;
    if (!parts_.ring.kernel_reaps()) {
        untold_ += done;
        untold_bytes_ += bytes;
    }
    return done;
}

/// Everything that can be done now, once. False if there was nothing. The kernel is told before more than a handful is
/// done; if there is nothing to do, the call that waits may tell it.
bool IoLoop::pass() noexcept {
    const std::uint32_t taken = take();
    if (!ended_ && untold_ != 0 && untold_bytes_ + unanswered_bytes_ > handful)
        enter(0, 0);
    if (ended_)
        return true;
    const std::size_t submitted = submit();
    const std::size_t published = publish();
    return taken != 0 || submitted != 0 || published != 0;
}

/// One ENTER for all that was published. What it returned.
int IoLoop::enter(std::uint32_t flags, std::uint32_t spin_us) noexcept {
    const int result = parts_.kernel.enter(parts_.queue, flags, parts_.ring.head(), spin_us); // (J)
    if (result < 0 && result != -EINTR)
        end(EndCause::kernel, -result);
    untold_ = 0;
    untold_bytes_ = 0;
    return result;
}

/// The lane has transfers in flight, so this thread must come back to poll: it never sleeps in ENTER here.
void IoLoop::wait_for_lane() noexcept {
    if (parts_.lane.failed()) {
        end(EndCause::engine, 0);
        return;
    }
    const policy::PollDelay how = policy::poll_delay(fruitless_++, parts_.cpus);
    delay(how);
    if (how.ask_session)
        enter(0, 0);
}

/// Looks at the SQ tail for so long. True if there is work.
bool IoLoop::meets_work(std::chrono::nanoseconds budget) noexcept {
    const auto until = Clock::now() + budget;
    for (unsigned looks = 1; parts_.ring.peek() == 0; ++looks) {
        pause();
        if (looks % looks_per_clock == 0 && Clock::now() >= until)
            return false;
    }
    return true;
}

/// Nothing is left to do: waits in ENTER, which is told of the CQEs by the way, or at first here if that promises to be
/// short.
void IoLoop::wait_for_work() noexcept {
    using std::chrono::microseconds;
    const auto here = parts_.spin.before_enter();
    const auto there = std::chrono::ceil<microseconds>(parts_.spin.budget() - here);
    if (untold_ > few || (untold_ != 0 && here.count() != 0))
        enter(0, 0);
    if (ended_)
        return;
    const auto before = Clock::now();
    if (here.count() != 0 && meets_work(here)) {
        parts_.spin.met_work();
        return;
    }
    const int result = enter(VRAMSWAP_ENTER_WAIT, static_cast<std::uint32_t>(there.count()));
    if (result < 0)
        return;
    if ((static_cast<std::uint32_t>(result) & VRAMSWAP_ENTER_SLEPT) != 0)
        parts_.spin.slept(Clock::now() - before);
    else
        parts_.spin.met_work();
}

void IoLoop::idle() noexcept {
    if (in_lane_ == 0 && waiting_count_ == 0)
        wait_for_work();
    else if (untold_ != 0)
        enter(0, 0);
    else
        wait_for_lane();
}

/// After the end: waits until the lane holds no transfer any more. A transfer that ended after the contents went to a
/// new session could overwrite what that session stored.
bool IoLoop::drain() noexcept {
    for (unsigned polls = 0; in_lane_ != 0 && polls < drain_polls; ++polls) {
        const std::size_t done = parts_.lane.poll(completions_);
        in_lane_ -= done;
        if (done == 0 && parts_.lane.failed())
            break;
        if (done == 0)
            delay(policy::poll_delay(polls, parts_.cpus));
    }
    return in_lane_ == 0;
}

LoopEnd IoLoop::run(const std::atomic<bool>& asked) noexcept {
    while (!ended_) {
        if (asked.load(std::memory_order_relaxed))
            end(EndCause::asked, 0);
        else if (pass())
            fruitless_ = 0;
        else if (!ended_)
            idle();
    }
    if (untold_ != 0)
        enter(0, 0);
    end_.drained = drain();
    return end_;
}

} // namespace vramswap
