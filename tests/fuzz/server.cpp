// SPDX-License-Identifier: MIT
#include "server.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <sys/ioctl.h>
#include <sys/mman.h>

namespace fuzz {
namespace {

std::uint64_t word_of(const vramswap_cqe& cqe) {
    std::uint64_t word = 0;
    std::memcpy(&word, &cqe, sizeof word);
    return word;
}

} // namespace

void Server::attach(std::uint64_t cookie) {
    vramswap_attach args{};
    args.abi_version = VRAMSWAP_ABI_VERSION;
    args.capacity = cookie != 0 ? counts_.capacity.load() : usual_capacity * (1 + dice_.below(3));
    args.cookie = cookie;
    ++counts_.operations;
    if (::ioctl(target_.fd, VRAMSWAP_IOC_ATTACH, &args) != 0)
        return;
    target_.shape = args;
    counts_.cookie = args.cookie;
    counts_.capacity = args.capacity;
    map_all();
}

void Server::map_all() {
    const auto& shape = target_.shape;
    target_.sq = map(shape.sq, PROT_READ);
    target_.cq = map(shape.cq, PROT_READ | PROT_WRITE);
    target_.map = map(shape.map, PROT_READ);
    const Area staging = map(shape.staging, PROT_READ | PROT_WRITE);
    if (target_.sq.address == nullptr || target_.cq.address == nullptr || staging.address == nullptr)
        return;
    const std::span words(reinterpret_cast<std::uint64_t*>(staging.address), staging.size / sizeof(own_word_));
    if (std::ranges::any_of(words, [](std::uint64_t word) { return word != 0; }))
        violation(counts_, "the staging memory of a new session is not zero");
    // From here on no word of it is anybody's but ours.
    std::ranges::fill(words, own_word_);
    target_.staging = staging;
}

Area Server::map(const vramswap_region& region, int protection) const {
    void* const address =
        ::mmap(nullptr, region.size, protection, MAP_SHARED, target_.fd, static_cast<off_t>(region.offset));
    if (address == MAP_FAILED)
        return {};
    return {.address = static_cast<std::byte*>(address), .size = region.size};
}

void Server::start() {
    ++counts_.operations;
    if (::ioctl(target_.fd, VRAMSWAP_IOC_START) == 0)
        ++counts_.sessions;
}

void Server::enter(unsigned queue, std::uint32_t flags, std::uint32_t head) const {
    vramswap_enter args{};
    args.queue = queue;
    args.flags = flags;
    args.sq_head = head;
    args.spin_us = static_cast<std::uint32_t>(dice_.below(100));
    ++counts_.operations;
    if (::ioctl(target_.fd, VRAMSWAP_IOC_ENTER, &args) >= 0)
        return;
    const bool over = errno == EBADMSG || errno == ETIMEDOUT || errno == ESTALE || errno == ESHUTDOWN;
    if (errno == EBADMSG && !target_.ended)
        ++counts_.broken;
    target_.ended = target_.ended || over;
}

void Server::serve() {
    const unsigned queue = this->queue();
    std::uint32_t head = target_.heads[queue];
    const std::uint32_t tail = __atomic_load_n(&target_.sq_of(queue).tail, __ATOMIC_ACQUIRE);
    if (head == tail || !target_.heads[queue].compare_exchange_strong(head, head + 1)) {
        enter(queue, dice_.one_in(32) ? VRAMSWAP_ENTER_WAIT : 0, head);
        return;
    }
    const auto* const sqes = reinterpret_cast<const vramswap_sqe*>(&target_.sq_of(queue) + 1);
    const vramswap_sqe sqe = sqes[head % target_.shape.ring_entries];
    check(sqe);
    if (sqe.opcode == VRAMSWAP_OP_READ && dice_.one_in(2))
        fill(queue, sqe.slot, sqe.length);
    if (sqe.opcode == VRAMSWAP_OP_WRITE)
        look_at(queue, sqe);
    std::uint16_t status = VRAMSWAP_STATUS_OK;
    if (dice_.one_in(8))
        status = static_cast<std::uint16_t>(1 + dice_.below(2));
    put(queue, {.slot = sqe.slot, .status = status, .generation = sqe.generation});
    ++counts_.answered;
    if (!dice_.one_in(4))
        enter(queue, 0, head + 1);
}

/// The kernel's side of the contract.
void Server::check(const vramswap_sqe& sqe) const {
    const bool zeroes = sqe.opcode == VRAMSWAP_OP_WRITE_ZEROES;
    const std::uint64_t most = zeroes ? VRAMSWAP_MAX_ZEROES_BYTES : target_.shape.slot_size;
    if (sqe.slot >= target_.shape.slots || sqe.opcode < VRAMSWAP_OP_READ || sqe.opcode > VRAMSWAP_OP_WRITE_ZEROES ||
        sqe.length == 0 || sqe.length > most || sqe.length % VRAMSWAP_BLOCK_SIZE != 0 ||
        sqe.offset % VRAMSWAP_BLOCK_SIZE != 0 || sqe.offset > target_.shape.capacity ||
        sqe.length > target_.shape.capacity - sqe.offset)
        violation(counts_, "an SQE of slot {} opcode {} offset {} length {}", sqe.slot, sqe.opcode, sqe.offset,
                  sqe.length);
}

/// Only a witness's data, or what we left in the slot ourselves. The data is that of the very blocks, if nobody can
/// have ended the request before us, so that its slot is another's by now.
void Server::look_at(unsigned queue, const vramswap_sqe& sqe) const {
    ++counts_.looked;
    const bool exact = target_.alone && !target_.lied;
    std::uint64_t at = sqe.offset;
    for (const std::uint64_t word : slot(queue, sqe.slot, sqe.length)) {
        const bool elsewhere = exact && mark_of(word) == witness_mark && !is_for(word, at / VRAMSWAP_BLOCK_SIZE);
        if (!is_ours(word) || elsewhere) {
            violation(counts_, "a write of {} bytes at {} shows {:#018x} at {} in slot {}", sqe.length, sqe.offset,
                      word, at, sqe.slot);
            return;
        }
        at += sizeof word;
    }
}

void Server::fill(unsigned queue, unsigned slot, std::size_t length) {
    ++counts_.operations;
    std::ranges::fill(this->slot(queue, slot, length), own_word_);
}

/// The first `length` bytes of a slot, as words; none if that is not in the staging memory.
std::span<std::uint64_t> Server::slot(unsigned queue, unsigned number, std::size_t length) const {
    const std::size_t at = (std::size_t{queue} * target_.shape.slots + number) * target_.shape.slot_size;
    if (at + length > target_.staging.size)
        return {};
    return {reinterpret_cast<std::uint64_t*>(target_.staging.address + at), length / sizeof(own_word_)};
}

void Server::put(unsigned queue, const vramswap_cqe& cqe) {
    ++counts_.operations;
    vramswap_cq& cq = target_.cq_of(queue);
    const std::uint32_t tail = __atomic_load_n(&cq.tail, __ATOMIC_RELAXED);
    __atomic_store_n(target_.cqe(queue, tail), word_of(cqe), __ATOMIC_RELAXED);
    __atomic_store_n(&cq.tail, tail + 1, __ATOMIC_RELEASE);
}

} // namespace fuzz
