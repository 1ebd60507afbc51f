// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "block_sums.hpp"
#include "engine.hpp"
#include "fd.hpp"

namespace vramswap {

/// Has another engine store the bytes, and looks at what it gives back: a read whose bytes are not those that were
/// written is tried twice more, and then fails with Status::io_error. Memory of consumer GPUs flips bits and has
/// nothing that notices.
///
/// What is not known is believed: blocks that two requests wrote at the same time, and those whose writer died.
class ChecksumEngine final : public Engine {
public:
    /// Name under which the checksums are kept.
    static constexpr std::string_view kept_name = "vramswap-sums";

    /// `why`, for people: for what reason checksums are kept. Empty for an engine that is to adopt: there are checksums
    /// if its predecessor kept some.
    explicit ChecksumEngine(std::unique_ptr<Engine> engine, std::string why = {});

    ChecksumEngine(const ChecksumEngine&) = delete;
    ChecksumEngine& operator=(const ChecksumEngine&) = delete;
    ChecksumEngine(ChecksumEngine&&) = delete;
    ChecksumEngine& operator=(ChecksumEngine&&) = delete;
    ~ChecksumEngine() override;

    [[nodiscard]] std::string label() const override { return engine_->label(); }
    [[nodiscard]] Result<void> open(std::uint64_t capacity) override;
    /// Checksums of another store cost the proof, not the contents: alarm() says so.
    [[nodiscard]] Result<void> adopt(std::uint64_t capacity, std::vector<InheritedFd>& inherited) override;
    [[nodiscard]] std::string remarks() const override;
    [[nodiscard]] std::string tuning() const override { return engine_->tuning(); }
    [[nodiscard]] std::vector<KeptFd> kept() const override;
    [[nodiscard]] Result<void> bind(std::span<std::byte> staging) override { return engine_->bind(staging); }
    void unbind() noexcept override { engine_->unbind(); }
    [[nodiscard]] Result<std::unique_ptr<Lane>> lane(unsigned queue, unsigned depth) override;
    [[nodiscard]] Result<void> erase() override { return engine_->erase(); }
    [[nodiscard]] int alarm_fd() const noexcept override { return alarm_.get(); }
    [[nodiscard]] std::string alarm() override;

private:
    void tell_of_damage(std::uint64_t block) noexcept;

    std::unique_ptr<Engine> engine_;
    std::string why_;
    std::optional<BlockSums> sums_;
    Fd alarm_;                                    ///< an eventfd
    std::atomic<std::uint64_t> damaged_ = 0;      ///< reads that failed for wrong bytes
    std::atomic<std::uint64_t> last_damaged_ = 0; ///< block
    std::string trouble_;                         ///< that is to be told besides
};

} // namespace vramswap
