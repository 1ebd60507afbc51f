// SPDX-License-Identifier: MIT
#include "cuda_lane.hpp"

#include <algorithm>
#include <array>
#include <cassert>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <initializer_list>
#include <thread>

#include "cuda_store.hpp"
#include "vramswap.h"

namespace vramswap {
namespace {

using cuda::Code;
using namespace std::chrono_literals;

/// Copies in one stream at most. More than the GPU has use for at once, and far fewer than the driver's own queue takes
/// before it makes the caller wait: about a thousand by what others measured.
constexpr std::size_t most_copies = 256;

/// So many copies share a ticket: the first of many is answered while the rest is still on its way, and a ticket costs
/// little beside so many copies.
constexpr std::size_t copies_per_ticket = 16;

/// A WRITE_ZEROES is done in pieces of so many bytes, so many of them at once: tens of microseconds of the GPU's time
/// each, which is as long as a read may have to wait for it.
constexpr std::uint32_t zero_piece = 2U << 20;
constexpr std::size_t zero_pieces = 2;

/// A transfer takes microseconds. One that takes so long has probably failed, and the driver is asked, although that
/// may enter the kernel. If the GPU is only slow, it is asked again after as long; how slow is too slow is for the
/// kernel's I/O timeout to say.
constexpr auto patience = 500ms;

/// For a piece of the warm-up, where a GPU that does not answer must be an error.
constexpr auto warm_up_patience = 10s;
constexpr auto warm_up_interval = 50ms; // of asking how it is

/// For what is under way when a lane is given up.
constexpr auto drain_patience = 2s;

/// The words are apart, so that the GPU's writing of one does not disturb the reading of another.
constexpr std::size_t line = 64;
constexpr std::size_t words_room = 4096;

/// Lengths that the warm-up moves, bytes: the smallest request, that of the usual slot, and the largest slot's.
constexpr std::array<std::uint32_t, 3> warm_lengths{4096, 128U << 10, VRAMSWAP_MAX_SLOT_SIZE};
constexpr std::size_t warm_room = warm_lengths.back();
static_assert(warm_room <= CudaStore::scratch_size && zero_pieces * zero_piece <= CudaStore::scratch_size);

} // namespace

CudaLane::CudaLane(const CudaLaneParts& parts, CudaPinned pinned, CudaTrack reads, CudaTrack writes, CudaTrack zeroes)
    : parts_(parts), pinned_(std::move(pinned)), reads_(std::move(reads)), writes_(std::move(writes)),
      zeroes_(std::move(zeroes)), zeroing_(parts.depth), done_(parts.depth) {}

Result<std::unique_ptr<CudaLane>> CudaLane::make(const CudaLaneParts& parts) {
    auto pinned = CudaPinned::make(parts.api, words_room + 2 * warm_room);
    if (!pinned)
        return pass_on(pinned);
    const auto track = [&](std::size_t number, std::size_t room) {
        return CudaTrack::make(parts.api, pinned->bytes().subspan(number * line, line),
                               pinned->address() + number * line, room);
    };
    const std::size_t copies = std::min<std::size_t>(parts.depth, most_copies);
    auto reads = track(0, copies);
    auto writes = track(1, copies);
    auto zeroes = track(2, zero_pieces);
    for (Result<CudaTrack>* const made : {&reads, &writes, &zeroes})
        if (!*made)
            return pass_on(*made);
    return std::unique_ptr<CudaLane>(
        new CudaLane(parts, std::move(*pinned), std::move(*reads), std::move(*writes), std::move(*zeroes)));
}

/// Nobody destroys a lane with transfers in flight but a program that ends or starts in vain; then waiting is right.
/// But not for a GPU that hangs: the end of the process, with all that it shares with the GPU, is the driver's to bring
/// about.
CudaLane::~CudaLane() {
    for (const CudaTrack* const track : {&reads_, &writes_, &zeroes_}) {
        if (track->empty() || track->drain(drain_patience))
            continue;
        fmt::print(stderr, "the GPU hangs: vramswapd ends without waiting for it\n");
        std::_Exit(EXIT_FAILURE);
    }
}

// ---- transfers ----

/// Checked a second time here: the kernel bounds requests by the same capacity, but memory is at stake.
bool CudaLane::sound(const Transfer& transfer) const noexcept {
    if (transfer.offset > parts_.capacity || transfer.length > parts_.capacity - transfer.offset)
        return false;
    if (transfer.op == Op::write_zeroes)
        return true;
    const auto start = reinterpret_cast<std::uintptr_t>(transfer.staging);
    const auto first = reinterpret_cast<std::uintptr_t>(parts_.staging.data());
    return start >= first && start - first <= parts_.staging.size() &&
           transfer.length <= parts_.staging.size() - (start - first);
}

std::size_t CudaLane::in_flight() const noexcept {
    return reads_.size() + writes_.size() + zeroes_.size() + zeroing_.size() + done_.size();
}

/// How many of the first of `transfers` there is room for.
std::size_t CudaLane::fitting(std::span<const Transfer> transfers) const noexcept {
    // The pieces of a WRITE_ZEROES count here although they are no transfers: that costs two places.
    std::size_t room = parts_.depth - std::min<std::size_t>(parts_.depth, in_flight());
    std::size_t reads = reads_.room();
    std::size_t writes = writes_.room();
    std::size_t count = 0;
    for (const Transfer& transfer : transfers) {
        if (room == 0 || (transfer.op == Op::read && reads == 0) || (transfer.op == Op::write && writes == 0))
            break;
        --room;
        reads -= transfer.op == Op::read ? 1U : 0U;
        writes -= transfer.op == Op::write ? 1U : 0U;
        ++count;
    }
    return count;
}

/// The driver took no operation. The arguments were sound, so an invalid value is our own mistake, and only this
/// transfer's; anything else the context does not survive, or we cannot know that it does.
void CudaLane::refused(Code code, std::uint32_t token) noexcept {
    if (code == Code::invalid_value && token != CudaTrack::nobody) {
        finish(token, Status::io_error);
        return;
    }
    failed_ = true;
    why_ = code;
}

void CudaLane::confirm(CudaTrack& track) noexcept {
    if (const Code code = track.confirm(); code != Code::success)
        refused(code, CudaTrack::nobody);
}

/// Starts one copy; without its ticket.
void CudaLane::start(CudaTrack& track, const Transfer& transfer) noexcept {
    const cuda::Address place = parts_.store + transfer.offset;
    const Code code = transfer.op == Op::read
                          ? parts_.api.MemcpyDtoHAsync(transfer.staging, place, transfer.length, track.stream())
                          : parts_.api.MemcpyHtoDAsync(place, transfer.staging, transfer.length, track.stream());
    if (code == Code::success)
        track.started(transfer.token);
    else
        refused(code, transfer.token);
}

void CudaLane::start_all(std::span<const Transfer> transfers, Op op) noexcept {
    CudaTrack& track = op == Op::read ? reads_ : writes_;
    std::size_t count = 0;
    for (const Transfer& transfer : transfers) {
        if (failed_ || transfer.op != op)
            continue;
        if (!sound(transfer)) {
            finish(transfer.token, Status::io_error);
            continue;
        }
        start(track, transfer);
        if (++count % copies_per_ticket == 0)
            confirm(track);
    }
    if (!failed_)
        confirm(track);
}

std::size_t CudaLane::submit(std::span<const Transfer> transfers) noexcept {
    assert(begun_);
    if (failed_)
        return 0;
    const auto accepted = transfers.first(fitting(transfers));
    start_all(accepted, Op::read); // somebody waits for these
    start_all(accepted, Op::write);
    for (const Transfer& transfer : accepted) {
        if (transfer.op != Op::write_zeroes)
            continue;
        if (sound(transfer))
            zeroing_.push(transfer);
        else
            finish(transfer.token, Status::io_error);
    }
    go_on_zeroing();
    return accepted.size();
}

/// Starts as many pieces of the oldest WRITE_ZEROES as may be under way. The last piece has its token.
void CudaLane::go_on_zeroing() noexcept {
    while (!failed_ && !zeroing_.empty() && zeroes_.room() != 0) {
        Transfer& oldest = zeroing_.front();
        const std::uint32_t length = std::min(oldest.length, zero_piece);
        const Code code = parts_.api.MemsetD8Async(parts_.store + oldest.offset, 0, length, zeroes_.stream());
        if (code != Code::success) {
            refused(code, CudaTrack::nobody); // earlier pieces may be under way: no answer yet
            return;
        }
        oldest.offset += length;
        oldest.length -= length;
        zeroes_.started(oldest.length == 0 ? oldest.token : CudaTrack::nobody);
        if (oldest.length == 0)
            zeroing_.pop();
        confirm(zeroes_);
    }
}

/// True if anything has ended.
bool CudaLane::collect(CudaTrack& track) noexcept {
    bool any = false;
    for (; const auto token = track.take_done(); any = true)
        if (*token != CudaTrack::nobody)
            finish(*token, Status::ok);
    return any;
}

std::size_t CudaLane::poll(std::span<Completion> completions) noexcept {
    bool progress = false;
    for (CudaTrack* const track : {&reads_, &writes_, &zeroes_})
        progress = collect(*track) || progress;
    go_on_zeroing();
    std::size_t count = 0;
    for (; count < completions.size() && !done_.empty(); done_.pop())
        completions[count++] = done_.front();
    look_after(progress || count != 0);
    return count;
}

/// Notices that transfers which should have ended have not.
void CudaLane::look_after(bool progress) noexcept {
    if (progress || failed_ || in_flight() == 0) {
        silent_since_.reset();
        return;
    }
    const auto now = Clock::now(); // read from the vDSO: no system call
    if (!silent_since_) {
        silent_since_ = now;
    } else if (now - *silent_since_ >= patience) {
        silent_since_ = now;
        for (CudaTrack* const track : {&reads_, &writes_, &zeroes_})
            look_after(*track);
    }
}

/// A stream that says it has done all has written its ticket, too, or it lies.
void CudaLane::look_after(CudaTrack& track) noexcept {
    if (failed_ || track.empty())
        return;
    const Code code = track.ask();
    if (code == Code::not_ready || (code == Code::success && track.done()))
        return;
    failed_ = true;
    why_ = code;
}

// ---- warm-up ----

Error CudaLane::broken() const {
    return {.code = EIO,
            .message = why_ == Code::success
                           ? "the GPU does not do what it was asked to (dmesg may say more: Xid)"
                           : fmt::format("the GPU does not work: {} (dmesg may say more: Xid)", parts_.api.text(why_))};
}

/// Until all in the track is done.
Result<void> CudaLane::wait(CudaTrack& track) {
    const auto since = Clock::now();
    auto asked = since;
    while (!failed_ && !track.empty()) {
        if (track.take_done())
            continue;
        std::this_thread::yield();
        if (Clock::now() - asked < warm_up_interval)
            continue;
        asked = Clock::now();
        look_after(track);
        failed_ = failed_ || asked - since > warm_up_patience;
    }
    if (failed_)
        return std::unexpected(broken());
    return {};
}

/// One copy, waited for, between scratch and host memory.
Result<void> CudaLane::move(CudaTrack& track, std::byte* host, std::size_t length) {
    start(track, {.offset = parts_.scratch - parts_.store,
                  .staging = host,
                  .length = static_cast<std::uint32_t>(length),
                  .token = CudaTrack::nobody,
                  .op = &track == &reads_ ? Op::read : Op::write});
    if (!failed_)
        confirm(track);
    return wait(track);
}

/// As many copies and tickets at once as ever, both ways together.
Result<void> CudaLane::warm_batch(std::byte* host) {
    const std::array tracks{&writes_, &reads_};
    for (CudaTrack* const track : tracks) {
        while (!failed_ && track->room() != 0) {
            start(*track, {.offset = parts_.scratch - parts_.store,
                           .staging = host,
                           .length = warm_lengths.front(),
                           .token = CudaTrack::nobody,
                           .op = track == &reads_ ? Op::read : Op::write});
            if (!failed_)
                confirm(*track);
        }
    }
    for (CudaTrack* const track : tracks)
        if (auto done = wait(*track); !done)
            return done;
    return {};
}

/// Zeroes scratch, and waits for it.
Result<void> CudaLane::warm_zeroes(std::uint32_t length) {
    zeroing_.push({.offset = parts_.scratch - parts_.store, .length = length, .token = CudaTrack::nobody});
    go_on_zeroing();
    return wait(zeroes_);
}

/// Does scratch begin with these bytes? Reads them back to `back`.
Result<void> CudaLane::expect(std::span<const std::byte> bytes, std::byte* back) {
    auto read = move(reads_, back, bytes.size());
    if (read && !std::ranges::equal(bytes, std::span(back, bytes.size())))
        return fail(EIO, "the GPU gave back other bytes than were stored in it in a test: it must not hold pages");
    return read;
}

/// Writes `sent` to scratch and reads it back to `back`, by way of the memory that is shared with the kernel as far as
/// that is large enough. The kernel fills a slot before it shows it to us, and before START it shows none: until then
/// we may use them.
Result<void> CudaLane::round_trip(std::span<const std::byte> sent, std::byte* back) {
    const auto staged = parts_.staging.first(std::min(sent.size(), parts_.staging.size()));
    std::ranges::copy(sent.first(staged.size()), staged.begin());
    if (auto done = move(writes_, staged.data(), staged.size()); !done)
        return done; // and leave the memory alone: the GPU may be at it still
    std::ranges::fill(staged, std::byte{});
    if (auto done = expect(sent.first(staged.size()), staged.data()); !done)
        return done;
    std::ranges::fill(staged, std::byte{});
    return expect(sent.first(staged.size()), back);
}

/// What libcuda sets up at first use it shall set up now. And what comes back is compared: a GPU or a driver that does
/// not even store this must not get anybody's pages.
Result<void> CudaLane::warm_up() {
    const auto sent = pinned_.bytes().subspan(words_room, warm_room);
    std::byte* const back = sent.data() + sent.size();
    const std::vector<std::byte> zeroes(warm_room);
    for (std::size_t i = 0; i < sent.size(); ++i)
        sent[i] = static_cast<std::byte>(i * 31 + i / 251); // no two blocks alike
    for (const std::uint32_t length : warm_lengths) {
        auto done = in_turn([&] { return round_trip(sent.first(length), back); }, [&] { return warm_zeroes(length); },
                            [&] { return expect(std::span(zeroes).first(length), back); });
        if (!done)
            return done;
    }
    return in_turn([&] { return warm_zeroes(zero_pieces * zero_piece); }, [&] { return warm_batch(back); });
}

Result<void> CudaLane::begin() {
    if (const Code code = parts_.api.CtxSetCurrent(parts_.context); code != Code::success)
        return fail(EIO, "the GPU's context does not work: {}", parts_.api.text(code));
    begun_ = true;
    return warm_up();
}

} // namespace vramswap
