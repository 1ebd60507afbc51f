// SPDX-License-Identifier: MIT
#include "ring_client.hpp"

#include <algorithm>
#include <bit>
#include <cerrno>

#include <fcntl.h>
#include <sys/ioctl.h>

#include "ring_errors.hpp"

namespace vramswap {

Result<std::unique_ptr<RingClient>> RingClient::open(unsigned device) {
    const std::string path = fmt::format("/dev/vramswapc{}", device);
    Fd fd(::open(path.c_str(), O_RDWR | O_CLOEXEC));
    if (!fd)
        return std::unexpected(ring_error(Call::open, errno, device));
    return std::unique_ptr<RingClient>(new RingClient(std::move(fd), device));
}

Result<void> RingClient::attach(const Contents& contents) {
    vramswap_attach request{};
    request.abi_version = VRAMSWAP_ABI_VERSION;
    request.capacity = contents.capacity;
    request.cookie = contents.cookie;
    contents.label.copy(request.label, sizeof request.label - 1);
    if (::ioctl(fd_.get(), VRAMSWAP_IOC_ATTACH, &request) != 0) {
        Error error = ring_error(Call::attach, errno, device_);
        if (error.code == EPROTONOSUPPORT)
            error.message +=
                fmt::format(" (vramswapd has {}, the module {})", VRAMSWAP_ABI_VERSION, request.abi_version);
        return std::unexpected(std::move(error));
    }
    attach_ = request;
    return in_turn([this] { return check_shape(); }, [this] { return map_all(); });
}

/// Not distrust of the kernel, but a plain sentence instead of a crash should the two ever disagree.
Result<void> RingClient::check_shape() const {
    const std::uint64_t sq_size = sizeof(vramswap_sq) + std::uint64_t{attach_.ring_entries} * sizeof(vramswap_sqe);
    const std::uint64_t cq_size = sizeof(vramswap_cq) + std::uint64_t{attach_.ring_entries} * sizeof(vramswap_cqe);
    const std::uint64_t staging_size = std::uint64_t{attach_.queues} * attach_.slots * attach_.slot_size;
    const bool sound = attach_.queues >= 1 && attach_.queues <= VRAMSWAP_MAX_QUEUES && attach_.slots >= 1 &&
                       attach_.slots <= VRAMSWAP_MAX_SLOTS && std::has_single_bit(attach_.ring_entries) &&
                       attach_.ring_entries >= attach_.slots && attach_.slot_size >= VRAMSWAP_MIN_SLOT_SIZE &&
                       attach_.sq_stride >= sq_size && attach_.cq_stride >= cq_size &&
                       attach_.sq.size >= attach_.queues * attach_.sq_stride &&
                       attach_.cq.size >= attach_.queues * attach_.cq_stride && attach_.staging.size >= staging_size;
    if (!sound)
        return fail(EPROTO, "the module described the shared memory of vramswap{} in a way that makes no sense",
                    device_);
    return {};
}

Result<void> RingClient::map_all() {
    return in_turn([this] { return map(attach_.sq, PROT_READ, sq_); },
                   [this] { return map(attach_.cq, PROT_READ | PROT_WRITE, cq_); },
                   [this] { return map(attach_.staging, PROT_READ | PROT_WRITE, staging_); },
                   [this] { return map(attach_.map, PROT_READ, map_); });
}

Result<void> RingClient::map(const vramswap_region& region, int protection, Mapping& mapping) {
    mapping = Mapping::map(fd_.get(), region.offset, region.size, protection);
    if (!mapping)
        return std::unexpected(ring_error(Call::map, errno, device_));
    return {};
}

Result<void> RingClient::start() {
    if (::ioctl(fd_.get(), VRAMSWAP_IOC_START) != 0)
        return std::unexpected(ring_error(Call::start, errno, device_));
    return {};
}

Result<void> RingClient::stop() {
    if (::ioctl(fd_.get(), VRAMSWAP_IOC_STOP) != 0)
        return std::unexpected(ring_error(Call::stop, errno, device_));
    return {};
}

int RingClient::enter(unsigned queue, std::uint32_t flags, std::uint32_t sq_head, std::uint32_t spin_us) noexcept {
    const vramswap_enter request{
        .queue = queue, .flags = flags, .sq_head = sq_head, .spin_us = spin_us, .reserved0 = 0};
    const int taken = ::ioctl(fd_.get(), VRAMSWAP_IOC_ENTER, &request);
    return taken >= 0 ? taken : -errno;
}

Ring RingClient::ring(unsigned queue) const noexcept {
    return {sq_.bytes().data() + queue * attach_.sq_stride, cq_.bytes().data() + queue * attach_.cq_stride,
            attach_.ring_entries};
}

std::span<std::byte> RingClient::staging(unsigned queue) const noexcept {
    const std::size_t size = std::size_t{attach_.slots} * attach_.slot_size;
    return staging_.bytes().subspan(queue * size, size);
}

} // namespace vramswap
