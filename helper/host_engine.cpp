// SPDX-License-Identifier: MIT
#include "host_engine.hpp"

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <cstring>
#include <iterator>

#include "vramswap.h"

namespace vramswap {
namespace {

/// How much one submit copies before it wants poll to be called, bytes: enough for a few large transfers, little enough
/// that the first of many is answered while the rest is still being copied.
constexpr std::size_t copy_quota = 256UL << 10;

/// How much one poll zeroes, bytes: about as long as copy_quota takes, so that a WRITE_ZEROES of 32 MiB does not hold
/// up the reads behind it.
constexpr std::size_t zero_quota = 512UL << 10;

/// Copies as Linux copies pages: by the string instruction. On an EPYC with ERMS and FSRM that is as quick as memcpy,
/// between a large store and staging (4 KiB: 0.31 and 0.33 us, 128 KiB: 4.4 us); on QEMU's emulated processor memcpy,
/// which takes vector registers there, takes several times as long. Sanitizers see into memcpy only.
void copy_bytes(std::byte* to, const std::byte* from, std::size_t bytes) noexcept {
#if defined(__x86_64__) && !defined(VRAMSWAP_SANITIZED)
    std::size_t words = bytes / sizeof(std::uint64_t);
    bytes %= sizeof(std::uint64_t);
    asm volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(words) : : "memory"); // NOLINT(hicpp-no-assembler)
#endif
    std::memcpy(to, from, bytes);
}

/// Copies in submit, zeroes in poll; so `ok` is said after the bytes are where they belong.
class HostLane final : public Lane {
public:
    HostLane(std::span<std::byte> store, unsigned depth) : store_(store), done_(depth), zeroing_(depth) {}

    std::size_t submit(std::span<const Transfer> transfers) noexcept override;
    std::size_t poll(std::span<Completion> completions) noexcept override;
    [[nodiscard]] bool failed() const noexcept override { return false; }

private:
    void copy(const Transfer& transfer) noexcept;
    void zero_some() noexcept;

    void finish(std::uint32_t token, Status status) noexcept { done_[done_count_++] = {token, status}; }

    /// Checked a second time here: the kernel bounds requests by the same capacity, but memory is at stake.
    [[nodiscard]] bool in_bounds(const Transfer& transfer) const noexcept {
        return transfer.offset <= store_.size() && transfer.length <= store_.size() - transfer.offset;
    }

    std::span<std::byte> store_;
    std::vector<Completion> done_;  ///< finished, not yet polled: the first done_count_
    std::vector<Transfer> zeroing_; ///< what is left to zero: the first zeroing_count_, the first of them in work
    std::size_t done_count_ = 0;
    std::size_t zeroing_count_ = 0;
};

void HostLane::copy(const Transfer& transfer) noexcept {
    std::byte* const place = store_.data() + transfer.offset;
    if (transfer.op == Op::read)
        copy_bytes(transfer.staging, place, transfer.length);
    else
        copy_bytes(place, transfer.staging, transfer.length);
    finish(transfer.token, Status::ok);
}

std::size_t HostLane::submit(std::span<const Transfer> transfers) noexcept {
    std::size_t taken = 0;
    std::size_t copied = 0;
    while (taken < transfers.size() && done_count_ + zeroing_count_ < done_.size() && copied < copy_quota) {
        const Transfer& transfer = transfers[taken++];
        if (!in_bounds(transfer)) {
            finish(transfer.token, Status::io_error);
        } else if (transfer.op == Op::write_zeroes) {
            zeroing_[zeroing_count_++] = transfer;
        } else {
            copy(transfer);
            copied += transfer.length;
        }
    }
    return taken;
}

/// Goes on with the oldest WRITE_ZEROES.
void HostLane::zero_some() noexcept {
    Transfer& oldest = zeroing_.front();
    const auto length = static_cast<std::uint32_t>(std::min<std::size_t>(oldest.length, zero_quota));
    std::memset(store_.data() + oldest.offset, 0, length);
    oldest.offset += length;
    oldest.length -= length;
    if (oldest.length != 0)
        return;
    finish(oldest.token, Status::ok);
    std::copy(std::next(zeroing_.begin()), std::next(zeroing_.begin(), static_cast<std::ptrdiff_t>(zeroing_count_)),
              zeroing_.begin());
    --zeroing_count_;
}

std::size_t HostLane::poll(std::span<Completion> completions) noexcept {
    if (zeroing_count_ != 0)
        zero_some();
    const std::size_t count = std::min(done_count_, completions.size());
    const auto end = std::next(done_.begin(), static_cast<std::ptrdiff_t>(count));
    std::copy(done_.begin(), end, completions.begin());
    std::copy(end, std::next(done_.begin(), static_cast<std::ptrdiff_t>(done_count_)), done_.begin());
    done_count_ -= count;
    return count;
}

} // namespace

std::string HostEngine::label() const {
    std::string text = fmt::format("host memory ({})", path_.empty() ? "memfd" : path_);
    text.resize(std::min<std::size_t>(text.size(), VRAMSWAP_LABEL_SIZE - 1));
    return text;
}

Result<void> HostEngine::take(Result<HostStore> store) {
    if (!store)
        return pass_on(store);
    store_.emplace(std::move(*store));
    return {};
}

Result<void> HostEngine::open(std::uint64_t capacity) {
    return take(path_.empty() ? HostStore::make_memfd(capacity) : HostStore::open_path(path_, capacity, true, log_));
}

Result<void> HostEngine::adopt(std::uint64_t capacity, std::vector<InheritedFd>& inherited) {
    if (!path_.empty())
        return take(HostStore::open_path(path_, capacity, false, log_));
    const auto kept = std::ranges::find(inherited, kept_name, &InheritedFd::name);
    if (kept == inherited.end())
        return fail(ENOENT, "the service manager did not keep the store's memory");
    return take(HostStore::adopt_memfd(std::move(kept->fd), capacity));
}

std::vector<KeptFd> HostEngine::kept() const {
    if (!path_.empty() || !store_)
        return {};
    return {{.name = std::string(kept_name), .fd = store_->fd()}};
}

/// Plain memory needs no registration.
Result<void> HostEngine::bind(std::span<std::byte> /*staging*/) {
    return {};
}

void HostEngine::unbind() noexcept {}

Result<std::unique_ptr<Lane>> HostEngine::lane(unsigned /*queue*/, unsigned depth) {
    assert(store_);
    return std::make_unique<HostLane>(store_->bytes(), depth);
}

} // namespace vramswap
