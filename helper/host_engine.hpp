// SPDX-License-Identifier: MIT
#pragma once

#include <optional>
#include <string>

#include "engine.hpp"
#include "host_store.hpp"

namespace vramswap {

/// Keeps the bytes in this machine's own memory: a memfd, or a file or device given by path.
class HostEngine final : public Engine {
public:
    /// Name under which a memfd store is kept with the service manager.
    static constexpr std::string_view kept_name = "vramswap-store";

    /// `path`: the file or device, or empty for a memfd.
    HostEngine(std::string path, const Log& log) : path_(std::move(path)), log_(log) {}

    [[nodiscard]] std::string label() const override;
    [[nodiscard]] Result<void> open(std::uint64_t capacity) override;
    [[nodiscard]] Result<void> adopt(std::uint64_t capacity, std::vector<InheritedFd>& inherited) override;
    [[nodiscard]] std::vector<KeptFd> kept() const override;
    [[nodiscard]] Result<void> bind(std::span<std::byte> staging) override;
    void unbind() noexcept override;
    [[nodiscard]] Result<std::unique_ptr<Lane>> lane(unsigned queue, unsigned depth) override;

private:
    [[nodiscard]] Result<void> take(Result<HostStore> store);

    std::string path_;
    Log log_;
    std::optional<HostStore> store_;
};

} // namespace vramswap
