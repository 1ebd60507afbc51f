// SPDX-License-Identifier: MIT
#include "kernel_half.hpp"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <climits>
#include <cstring>
#include <ctime>
#include <mutex>
#include <system_error>

#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace vramswap::test {

namespace {

constexpr std::uint64_t page_size = 4096;

std::uint64_t round_up(std::uint64_t value, std::uint64_t unit) {
    return (value + unit - 1) / unit * unit;
}

// Sleeps while *word is 1. A word of this process alone, so without the cost of a shared one.
void futex_sleep(const u32* word) {
    ::syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, 1U, nullptr, nullptr, 0);
}

void futex_wake(const u32* word) {
    ::syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, nullptr, nullptr, 0);
}

// Places the regions one behind the other and says how long they are together.
std::uint64_t lay_out(vramswap_attach& attach, const Shape& shape) {
    attach.abi_version = VRAMSWAP_ABI_VERSION;
    attach.capacity = shape.capacity;
    attach.cookie = 1;
    attach.queues = shape.queues;
    attach.slots = shape.slots;
    attach.slot_size = shape.slot_size;
    attach.ring_entries = std::bit_ceil(shape.slots);
    attach.sq_stride = round_up(sizeof(vramswap_sq) + attach.ring_entries * sizeof(vramswap_sqe), page_size);
    attach.cq_stride = round_up(sizeof(vramswap_cq) + attach.ring_entries * sizeof(vramswap_cqe), page_size);
    attach.sq = {.offset = 0, .size = attach.sq_stride * shape.queues};
    attach.cq = {.offset = attach.sq.size, .size = attach.cq_stride * shape.queues};
    attach.staging = {.offset = attach.cq.offset + attach.cq.size,
                      .size = std::uint64_t{shape.slot_size} * shape.slots * shape.queues};
    attach.map = {.offset = attach.staging.offset + attach.staging.size,
                  .size = round_up(round_up(shape.capacity / VRAMSWAP_BLOCK_SIZE, 64) / 8, page_size)};
    return attach.map.offset + attach.map.size;
}

[[noreturn]] void throw_errno(const char* what) {
    throw std::system_error(errno, std::generic_category(), what);
}

} // namespace

void Backoff::wait() noexcept {
    if (looks_ == 0) {
        constexpr timespec nap{.tv_sec = 0, .tv_nsec = 20'000};
        ::nanosleep(&nap, nullptr);
        return;
    }
    --looks_;
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

void SpinLock::lock() noexcept {
    Backoff backoff;
    while (locked_.exchange(true, std::memory_order_acquire))
        backoff.wait();
}

KernelQueue::KernelQueue(const Shape& shape, std::byte* sq, std::byte* cq, std::byte* staging,
                         std::atomic<std::uint64_t>* map)
    : staging_(staging), slot_size_(shape.slot_size), map_(map), slots_(shape.slots),
      free_tags_((shape.slots + 63) / 64) {
    vs_ring_init(&ring_, sq, cq, std::bit_ceil(shape.slots));
    ring_.sq_tail = shape.first_index;
    ring_.cq_head = shape.first_index;
    ring_.sq->tail = shape.first_index;
    ring_.cq->tail = shape.first_index;
    for (unsigned tag = 0; tag < shape.slots; ++tag) {
        slots_[tag].owner = shape.first_generation;
        free_tag(tag);
    }
}

// A tag's only edge is from the end of its last request to its next taker, as in blk-mq. Hence no stronger orders.
std::optional<unsigned> KernelQueue::take_tag() noexcept {
    for (std::size_t i = 0; i < free_tags_.size(); ++i) {
        std::uint64_t free = free_tags_[i].load(std::memory_order_relaxed);
        while (free != 0) {
            const std::uint64_t bit = free & (~free + 1);
            free = free_tags_[i].fetch_and(~bit, std::memory_order_acquire);
            if ((free & bit) != 0)
                return static_cast<unsigned>(i * 64) + static_cast<unsigned>(std::countr_zero(bit));
        }
    }
    return std::nullopt;
}

void KernelQueue::free_tag(unsigned tag) noexcept {
    free_tags_[tag / 64].fetch_or(std::uint64_t{1} << (tag % 64), std::memory_order_release);
}

std::byte* KernelQueue::slot_memory(unsigned tag) const noexcept {
    return staging_ + std::size_t{tag} * slot_size_;
}

void KernelQueue::mark_written(const Request& request) noexcept {
    const std::uint64_t first = request.offset / VRAMSWAP_BLOCK_SIZE;
    const std::uint64_t end = first + request.length / VRAMSWAP_BLOCK_SIZE;

    for (std::uint64_t block = first; block < end; ++block)
        map_[block / 64].fetch_or(std::uint64_t{1} << (block % 64), std::memory_order_relaxed);
}

std::uint32_t KernelQueue::send(unsigned tag, Request& request) noexcept {
    slots_[tag].request = &request;
    if (request.opcode == VRAMSWAP_OP_WRITE)
        std::memcpy(slot_memory(tag), request.data, request.length);
    if (request.opcode != VRAMSWAP_OP_READ)
        mark_written(request);
    submitted_.fetch_add(1, std::memory_order_relaxed);

    const std::lock_guard lock(submit_lock_);
    const vramswap_sqe sqe{
        .offset = request.offset,
        .length = request.length,
        .generation = vs_slot_publish(&slots_[tag].owner),
        .slot = static_cast<std::uint16_t>(tag),
        .opcode = request.opcode,
        .reserved0 = 0,
        .reserved1 = 0,
        .reserved2 = 0,
    };
    *vs_sq_reserve(&ring_) = sqe;
    vs_sq_submit(&ring_);
    return sqe.generation;
}

bool KernelQueue::doorbell() noexcept {
    if (!vs_doorbell_take(&ring_))
        return false;
    wakes_.fetch_add(1, std::memory_order_relaxed);
    futex_wake(&ring_.sleeping);
    return true;
}

void KernelQueue::spin(unsigned tag, std::uint32_t generation, unsigned looks) noexcept {
    const u32 out = generation | VS_SLOT_HELPER;

    if (spinning_.exchange(true, std::memory_order_acquire))
        return;
    bool more = true;
    while (more && READ_ONCE(slots_[tag].owner) == out) {
        vs_handover_begin(&ring_);
        while (looks != 0 && vs_cq_peek(&ring_) == 0 && READ_ONCE(slots_[tag].owner) == out) {
            Backoff().wait();
            --looks;
        }
        Batch batch{};
        std::size_t count = 0;
        const int result = claim_batch(batch, count);
        more = result == 0 && count != 0 && looks != 0;
        vs_handover_end(&ring_);
        end_requests(batch, count);
        if (result != 0)
            end(result);
    }
    if (vs_cq_peek(&ring_) != 0) // (O)
        reap();
    spinning_.store(false, std::memory_order_release);
}

int KernelQueue::claim(vramswap_cqe cqe, Done& done) noexcept {
    if (cqe.slot >= slots_.size() || cqe.status > VRAMSWAP_STATUS_DATA_LOST)
        return -EBADMSG;
    Slot& slot = slots_[cqe.slot];
    if (!vs_slot_claim(&slot.owner, cqe.generation))
        return -EBADMSG;
    if (slot.request == nullptr)
        return -EFAULT; // the kernel would fall over this; here, a defect in the ring ends as a failed test
    done = {.request = slot.request, .tag = cqe.slot, .status = cqe.status};
    slot.request = nullptr;
    return 0;
}

int KernelQueue::claim_batch(Batch& batch, std::size_t& count) noexcept {
    const std::lock_guard lock(reap_lock_);
    const int ready = end_.load(std::memory_order_relaxed) == 0 ? vs_cq_peek(&ring_) : 0;
    int result = std::min(ready, 0);

    count = 0;
    while (result == 0 && count < std::min(batch.size(), static_cast<std::size_t>(ready))) {
        result = claim(vs_cq_take(&ring_), batch[count]);
        if (result == 0)
            ++count;
    }
    return result;
}

void KernelQueue::end_requests(const Batch& batch, std::size_t count) noexcept {
    for (std::size_t i = 0; i < count; ++i) {
        const Done& done = batch[i];
        Request& request = *done.request;

        if (request.opcode == VRAMSWAP_OP_READ && done.status == VRAMSWAP_STATUS_OK)
            std::memcpy(request.data, slot_memory(done.tag), request.length);
        request.end(request, done.tag, done.status);
        free_tag(done.tag);
    }
    reaped_.fetch_add(count, std::memory_order_relaxed);
}

int KernelQueue::reap() noexcept {
    Batch batch{};
    std::size_t count = 0;
    std::size_t total = 0;
    int result = 0;

    do {
        result = claim_batch(batch, count);
        end_requests(batch, count);
        total += count;
    } while (result == 0 && count == batch.size() && total < slots_.size());
    if (result != 0)
        end(result);
    return result != 0 ? result : static_cast<int>(total);
}

bool KernelQueue::meets_work(std::uint32_t sq_head, std::uint32_t spin_us) noexcept {
    const auto until = std::chrono::steady_clock::now() + std::chrono::microseconds(spin_us);
    while (!vs_sq_has_past(&ring_, sq_head)) {
        if (end_.load(std::memory_order_relaxed) != 0 || std::chrono::steady_clock::now() >= until)
            return false;
        Backoff().wait();
    }
    return true;
}

bool KernelQueue::wait(std::uint32_t sq_head) noexcept {
    bool slept = false;
    for (;;) {
        sleeps_.fetch_add(1, std::memory_order_relaxed);
        if (!vs_sleep_begin(&ring_, sq_head) || end_.load(std::memory_order_relaxed) != 0)
            break;
        futex_sleep(&ring_.sleeping);
        slept = true;
    }
    vs_sleep_end(&ring_);
    return slept;
}

int KernelQueue::enter(std::uint32_t flags, std::uint32_t sq_head, std::uint32_t spin_us) noexcept {
    const bool waits = (flags & VRAMSWAP_ENTER_WAIT) != 0;
    int taken = waits && vs_handover_lasts(&ring_) ? 0 : reap();
    bool slept = false;

    if (taken >= 0 && waits && !meets_work(sq_head, spin_us)) {
        const int rest = reap();
        taken = rest < 0 ? rest : taken + rest;
        slept = rest >= 0 && wait(sq_head);
    }
    if (taken < 0)
        return taken;
    if (const int end = end_.load(std::memory_order_relaxed); end != 0)
        return end;
    return taken | static_cast<int>(slept ? VRAMSWAP_ENTER_SLEPT : 0);
}

void KernelQueue::end(int reason) noexcept {
    int none = 0;

    end_.compare_exchange_strong(none, reason, std::memory_order_relaxed);
    smp_mb(); // with (G): the sleeper sees the end, or the exchange takes its flag down
    xchg(&ring_.sleeping, 0);
    futex_wake(&ring_.sleeping);
}

void KernelQueue::fail_rest() noexcept {
    for (unsigned tag = 0; tag < slots_.size(); ++tag) {
        Request* const request = slots_[tag].request;

        vs_slot_revoke(&slots_[tag].owner);
        if (request == nullptr)
            continue;
        slots_[tag].request = nullptr;
        request->end(*request, tag, VRAMSWAP_STATUS_IO_ERROR);
        free_tag(tag);
    }
}

Counters KernelQueue::counters() const noexcept {
    return {.submitted = submitted_.load(std::memory_order_relaxed),
            .reaped = reaped_.load(std::memory_order_relaxed),
            .sleeps = sleeps_.load(std::memory_order_relaxed),
            .wakes = wakes_.load(std::memory_order_relaxed)};
}

KernelHalf::KernelHalf(const Shape& shape) {
    const std::uint64_t size = lay_out(attach_, shape);

    fd_ = Fd(::memfd_create("vramswap-kernel-half", MFD_CLOEXEC));
    if (!fd_ || ::ftruncate(fd_.get(), static_cast<off_t>(size)) != 0)
        throw_errno("memfd for the kernel half");
    mapping_ = Mapping::map(fd_.get(), 0, size, PROT_READ | PROT_WRITE);
    if (!mapping_)
        throw_errno("mapping of the kernel half");

    auto* const map = reinterpret_cast<std::atomic<std::uint64_t>*>(memory() + attach_.map.offset);
    for (unsigned i = 0; i < shape.queues; ++i)
        queues_.emplace_back(shape, memory() + attach_.sq.offset + i * attach_.sq_stride,
                             memory() + attach_.cq.offset + i * attach_.cq_stride,
                             memory() + attach_.staging.offset + std::uint64_t{i} * shape.slots * shape.slot_size, map);
}

} // namespace vramswap::test
