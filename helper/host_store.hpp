// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "error.hpp"
#include "fd.hpp"
#include "log.hpp"
#include "mapping.hpp"

namespace vramswap {

/// Memory of this machine that holds a device's bytes: mapped shared, every page there, locked.
class HostStore {
public:
    /// A new memfd of `capacity` bytes (make_memory_file says of which kind).
    [[nodiscard]] static Result<HostStore> make_memfd(std::uint64_t capacity);

    /// A memfd that make_memfd made in an earlier process; `capacity` must be that of then.
    [[nodiscard]] static Result<HostStore> adopt_memfd(Fd fd, std::uint64_t capacity);

    /// A file or device that holds at least `capacity` bytes. A regular file is made long enough, its blocks
    /// allocated; everything else is taken as it is. Neither way changes a byte that is there. With `may_create` a
    /// missing file is made. Warns in `log` about a file that memory pressure could make wait for a disk.
    [[nodiscard]] static Result<HostStore> open_path(const std::string& path, std::uint64_t capacity, bool may_create,
                                                     const Log& log);

    /// The store's bytes, exactly `capacity` of them; valid as long as this object.
    [[nodiscard]] std::span<std::byte> bytes() const noexcept { return bytes_; }

    /// The descriptor behind the mapping, owned by this object.
    [[nodiscard]] int fd() const noexcept { return fd_.get(); }

private:
    HostStore(Fd fd, Mapping mapping, std::uint64_t capacity) noexcept
        : fd_(std::move(fd)), mapping_(std::move(mapping)), bytes_(mapping_.bytes().first(capacity)) {}

    [[nodiscard]] static Result<HostStore> map(Fd fd, std::uint64_t capacity, std::uint64_t granule,
                                               const std::string& name);

    Fd fd_;
    Mapping mapping_;
    std::span<std::byte> bytes_;
};

} // namespace vramswap
