// SPDX-License-Identifier: MIT
#include "cuda_lane.hpp"

#include <algorithm>
#include <array>
#include <cassert>
#include <cerrno>
#include <thread>

#include "cuda_copiers.hpp"
#include "cuda_store.hpp"
#include "vramswap.h"

namespace vramswap {
namespace {

using cuda::Code;
using namespace std::chrono_literals;

/// Copies in one stream at most. More than the GPU has use for at once, and far fewer than the driver's own queue takes
/// before it makes the caller wait: about a thousand by what others measured.
constexpr std::size_t most_copies = 256;

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

/// The words that say what is done: a line for the zeroes', then the copier's.
constexpr std::size_t line = 64;
static_assert(line + cuda_copier_words <= CudaLane::words_room);

/// Lengths that the warm-up moves, bytes: the smallest request, that of the usual slot, and the largest slot's.
constexpr std::array<std::uint32_t, 3> warm_lengths{4096, 128U << 10, VRAMSWAP_MAX_SLOT_SIZE};
constexpr std::size_t page = warm_lengths.front();
constexpr std::size_t warm_room = CudaLane::warm_room;
static_assert(warm_room == warm_lengths.back() && warm_room <= CudaStore::scratch_size &&
              zero_pieces * zero_piece <= CudaStore::scratch_size);
static_assert(cuda::most_pieces * page <= warm_room);

} // namespace

CudaLane::CudaLane(const CudaLaneParts& parts, std::unique_ptr<CudaCopier> copier, CudaTrack zeroes)
    : parts_(parts), copier_(std::move(copier)), zeroes_(std::move(zeroes)), zeroing_(parts.depth), done_(parts.depth) {
}

Result<std::unique_ptr<CudaLane>> CudaLane::make(const CudaLaneParts& parts) {
    assert(parts.own.bytes.size() >= own_room);
    auto zeroes = CudaTrack::make(parts.api, parts.own.bytes.first(line), parts.own.address, zero_pieces);
    if (!zeroes)
        return pass_on(zeroes);
    auto copier = cuda_make_copier(parts.api, parts.kernels, parts.paths, parts.own.part(line, words_room - line),
                                   std::min<std::size_t>(parts.depth, most_copies));
    if (!copier)
        return pass_on(copier);
    return std::unique_ptr<CudaLane>(new CudaLane(parts, std::move(*copier), std::move(*zeroes)));
}

/// Nobody destroys a lane with transfers in flight but a program that ends or starts in vain; then waiting is right.
/// But not for a GPU that hangs.
CudaLane::~CudaLane() {
    const bool copied = copier_->drain(drain_patience);
    if (!zeroes_.drain(drain_patience) || !copied)
        cuda_leave_hung_gpu();
}

// ---- transfers ----

/// Checked a second time here: the kernel bounds requests by the same capacity, but memory is at stake.
bool CudaLane::within_store(const Transfer& transfer) const noexcept {
    return transfer.offset <= parts_.capacity && transfer.length <= parts_.capacity - transfer.offset;
}

bool CudaLane::within_staging(const Transfer& transfer) const noexcept {
    const auto staging = parts_.staging.bytes;
    const auto start = reinterpret_cast<std::uintptr_t>(transfer.staging);
    const auto first = reinterpret_cast<std::uintptr_t>(staging.data());
    return start >= first && start - first <= staging.size() && transfer.length <= staging.size() - (start - first);
}

CudaCopy CudaLane::copy_of(const Transfer& transfer) const noexcept {
    const auto offset = static_cast<std::uint64_t>(transfer.staging - parts_.staging.bytes.data());
    return {.vram = parts_.store + transfer.offset,
            .host = transfer.staging,
            .host_address = parts_.staging.address + offset,
            .length = transfer.length,
            .token = transfer.token};
}

std::size_t CudaLane::in_flight() const noexcept {
    return copier_->size() + zeroes_.size() + zeroing_.size() + done_.size();
}

/// How many of the first of `transfers` there is room for.
std::size_t CudaLane::fitting(std::span<const Transfer> transfers) const noexcept {
    // The pieces of a WRITE_ZEROES count here although they are no transfers: that costs two places.
    std::size_t room = parts_.depth - std::min<std::size_t>(parts_.depth, in_flight());
    std::size_t reads = copier_->room(Op::read);
    std::size_t writes = copier_->room(Op::write);
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

/// The GPU does nothing more for us, or we cannot know that it does.
void CudaLane::fail_for(Code code) noexcept {
    failed_ = true;
    why_ = code;
}

void CudaLane::start(Op op, std::span<const CudaCopy> copies) noexcept {
    while (!copies.empty() && !failed_) {
        const auto started = copier_->start(op, copies);
        if (started.code == Code::success && !started.broken)
            return;
        // The arguments were sound, so an invalid value is our own mistake, and only this transfer's.
        const bool alone = !started.broken && copies[started.count].token != CudaTrack::nobody;
        if (!alone) {
            fail_for(started.code);
            return;
        }
        finish(copies[started.count].token, Status::io_error);
        copies = copies.subspan(started.count + 1);
    }
}

/// All of `transfers` that are `op`, a read or a write.
void CudaLane::start_all(std::span<const Transfer> transfers, Op op) noexcept {
    std::array<CudaCopy, cuda::most_pieces> copies;
    std::size_t count = 0;
    for (const Transfer& transfer : transfers) {
        if (transfer.op != op)
            continue;
        if (!within_store(transfer) || !within_staging(transfer)) {
            finish(transfer.token, Status::io_error);
            continue;
        }
        copies[count++] = copy_of(transfer);
        if (count == copies.size())
            start(op, std::span(copies).first(std::exchange(count, 0)));
    }
    start(op, std::span(copies).first(count));
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
        if (within_store(transfer))
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
        Code code = parts_.api.MemsetD8Async(parts_.store + oldest.offset, 0, length, zeroes_.stream());
        if (code == Code::success) {
            oldest.offset += length;
            oldest.length -= length;
            zeroes_.started(oldest.length == 0 ? oldest.token : CudaTrack::nobody);
            if (oldest.length == 0)
                zeroing_.pop();
            code = zeroes_.confirm();
        }
        if (code != Code::success)
            fail_for(code); // earlier pieces may be under way: no answer yet
    }
}

/// True if anything has ended.
bool CudaLane::collect() noexcept {
    bool any = false;
    const auto take = [&](auto& from) {
        for (; const auto token = from.take_done(); any = true)
            if (*token != CudaTrack::nobody)
                finish(*token, Status::ok);
    };
    take(*copier_);
    take(zeroes_);
    return any;
}

std::size_t CudaLane::poll(std::span<Completion> completions) noexcept {
    const bool progress = collect();
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
        look_after();
    }
}

void CudaLane::look_after() noexcept {
    Code code = copier_->ask();
    if (code == Code::success)
        code = zeroes_.ask();
    if (code != Code::success)
        fail_for(code);
}

// ---- warm-up ----

Error CudaLane::broken() const {
    return {.code = EIO,
            .message = why_ == Code::success
                           ? "the GPU does not do what it was asked to (dmesg may say more: Xid)"
                           : fmt::format("the GPU does not work: {} (dmesg may say more: Xid)", parts_.api.text(why_))};
}

/// Until nothing is under way.
Result<void> CudaLane::wait() {
    const auto since = Clock::now();
    auto asked = since;
    while (!failed_ && in_flight() != 0) {
        if (collect()) {
            go_on_zeroing();
            continue;
        }
        std::this_thread::yield();
        if (Clock::now() - asked < warm_up_interval)
            continue;
        asked = Clock::now();
        look_after();
        failed_ = failed_ || asked - since > warm_up_patience;
    }
    if (failed_)
        return std::unexpected(broken());
    return {};
}

/// One copy, waited for, between scratch and host memory.
Result<void> CudaLane::move(Op op, CudaReach host, std::size_t length) {
    const CudaCopy copy{.vram = parts_.scratch,
                        .host = host.bytes.data(),
                        .host_address = host.address,
                        .length = static_cast<std::uint32_t>(length),
                        .token = CudaTrack::nobody};
    start(op, std::span(&copy, 1));
    return wait();
}

/// So many single pages at once, waited for. The first of the host's pages is the last of scratch's, so that with
/// another count each lies elsewhere.
Result<void> CudaLane::move_pages(Op op, CudaReach host, std::size_t count) {
    std::array<CudaCopy, cuda::most_pieces> copies;
    for (std::size_t i = 0; i < count; ++i)
        copies.at(i) = {.vram = parts_.scratch + (count - 1 - i) * page,
                        .host = host.bytes.data() + i * page,
                        .host_address = host.address + i * page,
                        .length = page,
                        .token = CudaTrack::nobody};
    start(op, std::span(copies).first(count));
    return wait();
}

/// Batches of every size for which there may be another path, there and back.
Result<void> CudaLane::warm_batches(CudaReach sent, CudaReach back) {
    const std::size_t most = std::min({cuda::most_pieces, copier_->room(Op::read), copier_->room(Op::write)});
    for (std::size_t count = 1; count <= most; count *= 2) {
        std::ranges::fill(back.bytes.first(count * page), std::byte{});
        auto moved = in_turn([&] { return move_pages(Op::write, sent, count); },
                             [&] { return move_pages(Op::read, back, count); });
        if (!moved)
            return moved;
        if (!std::ranges::equal(sent.bytes.first(count * page), back.bytes.first(count * page)))
            return fail(EIO,
                        "the GPU gave back other bytes than were stored in it in a test of {} pages at once: it "
                        "must not hold pages",
                        count);
    }
    return {};
}

/// As much at once as ever, both ways together, in batches of that size, of which every other is large copies.
Result<void> CudaLane::warm_full(CudaReach host, std::size_t at_once) {
    std::array<CudaCopy, cuda::most_pieces> copies;
    bool large = false;
    for (const Op op : {Op::write, Op::read})
        for (std::size_t room = copier_->room(op); !failed_ && room != 0; room = copier_->room(op)) {
            std::ranges::fill(copies, CudaCopy{.vram = parts_.scratch,
                                               .host = host.bytes.data(),
                                               .host_address = host.address,
                                               .length = large ? CudaStreams::large : std::uint32_t{page},
                                               .token = CudaTrack::nobody});
            start(op, std::span(copies).first(std::min(room, at_once)));
            large = !large;
        }
    return wait();
}

/// Zeroes scratch, and waits for it.
Result<void> CudaLane::warm_zeroes(std::uint32_t length) {
    zeroing_.push({.offset = parts_.scratch - parts_.store, .length = length, .token = CudaTrack::nobody});
    go_on_zeroing();
    return wait();
}

/// Does scratch begin with these bytes? Reads them back to `back`.
Result<void> CudaLane::expect(std::span<const std::byte> bytes, CudaReach back) {
    auto read = move(Op::read, back, bytes.size());
    if (read && !std::ranges::equal(bytes, back.bytes.first(bytes.size())))
        return fail(EIO, "the GPU gave back other bytes than were stored in it in a test: it must not hold pages");
    return read;
}

/// Writes `sent` to scratch and reads it back to `back`, by way of the memory that is shared with the kernel as far as
/// that is large enough. The kernel fills a slot before it shows it to us, and before START it shows none: until then
/// we may use them.
Result<void> CudaLane::round_trip(std::span<const std::byte> sent, CudaReach back) {
    const std::size_t length = std::min(sent.size(), parts_.staging.bytes.size());
    const CudaReach staged = parts_.staging.part(0, length);
    std::ranges::copy(sent.first(length), staged.bytes.begin());
    if (auto done = move(Op::write, staged, length); !done)
        return done; // and leave the memory alone: the GPU may be at it still
    std::ranges::fill(staged.bytes, std::byte{});
    if (auto done = expect(sent.first(length), staged); !done)
        return done;
    std::ranges::fill(staged.bytes, std::byte{});
    return expect(sent.first(length), back);
}

/// What libcuda sets up at first use it shall set up now. And what comes back is compared: a GPU or a driver that does
/// not even store this must not get anybody's pages.
Result<void> CudaLane::warm_up() {
    const CudaReach sent = parts_.own.part(words_room, warm_room);
    const CudaReach back = parts_.own.part(words_room + warm_room, warm_room);
    const std::vector<std::byte> zeroes(warm_room);
    for (std::size_t i = 0; i < sent.bytes.size(); ++i)
        sent.bytes[i] = static_cast<std::byte>(i * 31 + i / 251); // no two blocks alike
    for (const std::uint32_t length : warm_lengths) {
        auto done =
            in_turn([&] { return round_trip(sent.bytes.first(length), back); }, [&] { return warm_zeroes(length); },
                    [&] { return expect(std::span(zeroes).first(length), back); });
        if (!done)
            return done;
    }
    auto warm =
        in_turn([&] { return warm_zeroes(zero_pieces * zero_piece); }, [&] { return warm_batches(sent, back); });
    for (std::size_t at_once = 1; warm && at_once <= cuda::most_pieces; at_once *= 2)
        warm = warm_full(back, at_once);
    return warm;
}

Result<void> CudaLane::begin() {
    if (const Code code = parts_.api.CtxSetCurrent(parts_.context); code != Code::success)
        return fail(EIO, "the GPU's context does not work: {}", parts_.api.text(code));
    begun_ = true;
    if (const Code code = copier_->begin(); code != Code::success)
        return fail(EIO, "the GPU does not start the program that looks for copies: {}", parts_.api.text(code));
    return warm_up();
}

} // namespace vramswap
