// SPDX-License-Identifier: MIT
#include "checksum_engine.hpp"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <utility>

#include <fcntl.h>
#include <sys/eventfd.h>

#include "checksum_lane.hpp"
#include "vramswap.h"

namespace vramswap {

ChecksumEngine::ChecksumEngine(std::unique_ptr<Engine> engine, std::string why)
    : engine_(std::move(engine)), why_(std::move(why)), alarm_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

ChecksumEngine::~ChecksumEngine() = default;

Result<void> ChecksumEngine::open(std::uint64_t capacity) {
    if (!alarm_)
        return fail(EMFILE, "could not make an eventfd");
    sums_.reset();
    auto sums = BlockSums::make(capacity);
    if (!sums)
        return pass_on(sums);
    if (auto opened = engine_->open(capacity); !opened)
        return opened;
    sums_.emplace(std::move(*sums));
    return {};
}

Result<void> ChecksumEngine::adopt(std::uint64_t capacity, std::vector<InheritedFd>& inherited) {
    if (auto adopted = engine_->adopt(capacity, inherited); !adopted)
        return adopted;
    const auto kept = std::ranges::find(inherited, kept_name, &InheritedFd::name);
    if (kept == inherited.end())
        return {};
    const Fd table = std::move(kept->fd);
    inherited.erase(kept);
    auto sums = BlockSums::adopt(Fd(::fcntl(table.get(), F_DUPFD_CLOEXEC, 0)), capacity);
    if (sums) {
        sums_.emplace(std::move(*sums));
        return {};
    }
    if (sums.error().code != EINVAL)
        return pass_on(sums);
    trouble_ = fmt::format("what is read is not checked any more: {}", sums.error().message);
    (void)::eventfd_write(alarm_.get(), 1);
    return BlockSums::clear(table);
}

std::string ChecksumEngine::remarks() const {
    const std::string remarks = engine_->remarks();
    return remarks.empty() || why_.empty() ? remarks + why_ : fmt::format("{}; {}", remarks, why_);
}

std::vector<KeptFd> ChecksumEngine::kept() const {
    std::vector<KeptFd> kept = engine_->kept();
    if (sums_)
        kept.push_back({.name = std::string(kept_name), .fd = sums_->fd()});
    return kept;
}

Result<std::unique_ptr<Lane>> ChecksumEngine::lane(unsigned queue, unsigned depth) {
    auto lane = engine_->lane(queue, depth);
    if (!lane || !sums_)
        return lane;
    return std::make_unique<ChecksumLane>(std::move(*lane), *sums_, depth,
                                          [this](std::uint64_t block) { tell_of_damage(block); });
}

/// (The alarm is for the first, the second, the fourth, the eighth ...: a store that is broken as a whole must not fill
/// the log.)
void ChecksumEngine::tell_of_damage(std::uint64_t block) noexcept {
    last_damaged_ = block;
    if (std::has_single_bit(++damaged_))
        (void)::eventfd_write(alarm_.get(), 1);
}

std::string ChecksumEngine::alarm() {
    eventfd_t count = 0;
    if (::eventfd_read(alarm_.get(), &count) != 0)
        return {};
    if (!trouble_.empty())
        return std::exchange(trouble_, {});
    const std::uint64_t reads = damaged_;
    return fmt::format(
        "{} gave back other bytes than were stored, three times in a row: the request failed with an I/O "
        "error. The last one is in the 4 KiB from byte {} of the device on; {} request{} failed for this so "
        "far",
        engine_->label(), last_damaged_ * VRAMSWAP_BLOCK_SIZE, reads, reads == 1 ? "" : "s");
}

} // namespace vramswap
