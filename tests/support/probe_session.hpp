// SPDX-License-Identifier: MIT
//
// One session on /dev/vramswapcN, driven by hand: every call as it is, nothing put right. Calls return 0 or an errno.
#pragma once

#include <uapi/vramswap.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

namespace probe {

class Fd {
public:
    explicit Fd(int fd = -1) : fd_(fd) {}
    Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    Fd& operator=(Fd&& other) noexcept {
        std::swap(fd_, other.fd_);
        return *this;
    }
    Fd(const Fd&) = delete;
    Fd& operator=(const Fd&) = delete;
    ~Fd() { close(); }

    [[nodiscard]] int get() const { return fd_; }
    void close() {
        if (fd_ >= 0)
            ::close(fd_);
        fd_ = -1;
    }

private:
    int fd_;
};

// A shared mapping; address() is null if there is none.
class Mapping {
public:
    Mapping() = default;
    Mapping(void* address, std::size_t size) : address_(address), size_(size) {}
    Mapping(Mapping&& other) noexcept
        : address_(std::exchange(other.address_, nullptr)), size_(std::exchange(other.size_, 0)) {}
    Mapping& operator=(Mapping&& other) noexcept {
        std::swap(address_, other.address_);
        std::swap(size_, other.size_);
        return *this;
    }
    Mapping(const Mapping&) = delete;
    Mapping& operator=(const Mapping&) = delete;
    ~Mapping() {
        if (address_ != nullptr)
            munmap(address_, size_);
    }

    [[nodiscard]] void* address() const { return address_; }
    [[nodiscard]] std::size_t size() const { return size_; }
    [[nodiscard]] std::byte* bytes() const { return static_cast<std::byte*>(address_); }

private:
    void* address_ = nullptr;
    std::size_t size_ = 0;
};

// An ATTACH argument with nothing wrong in it.
inline vramswap_attach good_attach(std::uint64_t capacity, std::uint64_t cookie = 0) {
    vramswap_attach args = {};
    args.abi_version = VRAMSWAP_ABI_VERSION;
    args.capacity = capacity;
    args.cookie = cookie;
    std::ranges::copy(std::string_view("chardev_probe"), std::begin(args.label));
    return args;
}

class Session {
public:
    explicit Session(unsigned device)
        : fd_(::open(("/dev/vramswapc" + std::to_string(device)).c_str(), O_RDWR | O_CLOEXEC)),
          open_error_(fd_.get() < 0 ? errno : 0) {}

    [[nodiscard]] int open_error() const { return open_error_; }
    [[nodiscard]] int fd() const { return fd_.get(); }
    [[nodiscard]] const vramswap_attach& shape() const { return shape_; }

    // Keeps what the kernel answered, so that map_all and the ring verbs know the shape.
    int attach(vramswap_attach args) {
        const int error = attach_with(args);
        if (error == 0) {
            shape_ = args;
            heads_.assign(shape_.queues, 0);
            tails_.assign(shape_.queues, 0);
        }
        return error;
    }
    int attach_with(vramswap_attach& args) const { return result(ioctl(fd(), VRAMSWAP_IOC_ATTACH, &args)); }

    int start() const { return result(ioctl(fd(), VRAMSWAP_IOC_START)); }
    int stop() const { return result(ioctl(fd(), VRAMSWAP_IOC_STOP)); }

    // `taken`, if not null, is told how many CQEs the kernel took.
    int enter_with(vramswap_enter& args, int* taken = nullptr) const {
        const int count = ioctl(fd(), VRAMSWAP_IOC_ENTER, &args);
        if (count < 0)
            return errno;
        if (taken != nullptr)
            *taken = count;
        return 0;
    }
    int enter(unsigned queue, unsigned flags = 0, int* taken = nullptr) {
        vramswap_enter args = {};
        args.queue = queue;
        args.flags = flags;
        args.sq_head = queue < heads_.size() ? heads_[queue] : 0;
        return enter_with(args, taken);
    }

    int map(const vramswap_region& region, int protection, int flags, Mapping& mapping) const {
        void* address = mmap(nullptr, region.size, protection, flags, fd(), static_cast<off_t>(region.offset));
        if (address == MAP_FAILED)
            return errno;
        mapping = Mapping(address, region.size);
        return 0;
    }
    int map_all() {
        int error = map(shape_.sq, PROT_READ, MAP_SHARED, sq_);
        if (error == 0)
            error = map(shape_.cq, PROT_READ | PROT_WRITE, MAP_SHARED, cq_);
        if (error == 0)
            error = map(shape_.staging, PROT_READ | PROT_WRITE, MAP_SHARED, staging_);
        if (error == 0)
            error = map(shape_.map, PROT_READ, MAP_SHARED, map_);
        return error;
    }

    // ---- the ring; after map_all ----

    // The next SQE that was not taken yet, if there is one.
    bool take(unsigned queue, vramswap_sqe& sqe) {
        const std::byte* ring = sq_.bytes() + (queue * shape_.sq_stride);
        const std::uint32_t tail = __atomic_load_n(&reinterpret_cast<const vramswap_sq*>(ring)->tail, __ATOMIC_ACQUIRE);
        if (tail == heads_[queue])
            return false;
        const std::uint32_t place = heads_[queue] % shape_.ring_entries;
        std::memcpy(&sqe, ring + sizeof(vramswap_sq) + (place * sizeof(vramswap_sqe)), sizeof(sqe));
        ++heads_[queue];
        return true;
    }

    // Writes a CQE and moves the tail, without telling the kernel.
    void put(unsigned queue, const vramswap_cqe& cqe) {
        std::byte* ring = cq_.bytes() + (queue * shape_.cq_stride);
        const std::uint32_t place = tails_[queue] % shape_.ring_entries;
        std::memcpy(ring + sizeof(vramswap_cq) + (place * sizeof(vramswap_cqe)), &cqe, sizeof(cqe));
        set_tail(queue, tails_[queue] + 1);
    }
    void set_tail(unsigned queue, std::uint32_t tail) {
        tails_[queue] = tail;
        std::byte* ring = cq_.bytes() + (queue * shape_.cq_stride);
        __atomic_store_n(&reinterpret_cast<vramswap_cq*>(ring)->tail, tail, __ATOMIC_RELEASE);
    }
    [[nodiscard]] std::uint32_t tail(unsigned queue) const { return tails_[queue]; }
    // After put: does a submitter in the kernel take the CQEs, so that nobody need enter?
    [[nodiscard]] bool kernel_reaps(unsigned queue) const {
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
        const std::byte* ring = sq_.bytes() + (queue * shape_.sq_stride);
        const std::uint32_t flags =
            __atomic_load_n(&reinterpret_cast<const vramswap_sq*>(ring)->flags, __ATOMIC_RELAXED);
        return (flags & VRAMSWAP_SQ_KERNEL_REAPS) != 0;
    }

    [[nodiscard]] std::byte* slot(unsigned queue, unsigned slot) const {
        const std::size_t number = (static_cast<std::size_t>(queue) * shape_.slots) + slot;
        return staging_.bytes() + (number * shape_.slot_size);
    }
    [[nodiscard]] bool block_has_data(std::uint64_t block) const {
        const auto* words = static_cast<const std::uint64_t*>(map_.address());
        return (__atomic_load_n(&words[block / 64], __ATOMIC_RELAXED) >> (block % 64) & 1) != 0;
    }
    [[nodiscard]] const Mapping& sq() const { return sq_; }

private:
    static int result(int returned) { return returned < 0 ? errno : 0; }

    Fd fd_;
    int open_error_;
    vramswap_attach shape_ = {};
    Mapping sq_;
    Mapping cq_;
    Mapping staging_;
    Mapping map_;
    std::vector<std::uint32_t> heads_;
    std::vector<std::uint32_t> tails_;
};

// What a correct helper keeps; outlives its sessions.
class Store {
public:
    explicit Store(std::uint64_t capacity) : bytes_(capacity) {}

    [[nodiscard]] std::uint64_t capacity() const { return bytes_.size(); }
    [[nodiscard]] const std::byte* at(std::uint64_t offset) const { return bytes_.data() + offset; }

    // Does what the SQE asks for.
    void serve(const Session& session, unsigned queue, const vramswap_sqe& sqe) {
        std::byte* place = bytes_.data() + sqe.offset;
        switch (sqe.opcode) {
        case VRAMSWAP_OP_READ:
            std::memcpy(session.slot(queue, sqe.slot), place, sqe.length);
            break;
        case VRAMSWAP_OP_WRITE:
            std::memcpy(place, session.slot(queue, sqe.slot), sqe.length);
            break;
        default:
            std::memset(place, 0, sqe.length);
            break;
        }
    }

private:
    std::vector<std::byte> bytes_;
};

} // namespace probe
