// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include <sys/mman.h>

namespace vramswap {

/// Owns one shared mapping, or none.
class Mapping {
public:
    Mapping() noexcept = default;
    Mapping(const Mapping&) = delete;
    Mapping& operator=(const Mapping&) = delete;
    Mapping(Mapping&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}
    Mapping& operator=(Mapping&& other) noexcept {
        std::swap(bytes_, other.bytes_);
        return *this;
    }
    ~Mapping() {
        if (!bytes_.empty())
            ::munmap(bytes_.data(), bytes_.size());
    }

    /// Maps `length` bytes of `fd` from `offset` (both in bytes), MAP_SHARED. `protection` is PROT_*.
    /// An empty mapping and errno on failure.
    [[nodiscard]] static Mapping map(int fd, std::uint64_t offset, std::size_t length, int protection) noexcept {
        Mapping mapping;
        void* const start = ::mmap(nullptr, length, protection, MAP_SHARED, fd, static_cast<off_t>(offset));
        if (start != MAP_FAILED)
            mapping.bytes_ = {static_cast<std::byte*>(start), length};
        return mapping;
    }

    [[nodiscard]] std::span<std::byte> bytes() const noexcept { return bytes_; }
    [[nodiscard]] explicit operator bool() const noexcept { return !bytes_.empty(); }

private:
    std::span<std::byte> bytes_;
};

} // namespace vramswap
