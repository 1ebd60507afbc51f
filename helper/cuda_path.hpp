// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace vramswap {

/// How a GPU is made to copy between host memory and its own.
enum class CudaPath : std::uint8_t {
    engine, ///< its copy engines, one call for each copy
    batch,  ///< its copy engines, one call for many (cuMemcpyBatchAsync)
    kernel, ///< a short program for each batch
    poll,   ///< a program that never ends and looks for work itself
};

inline constexpr std::array cuda_paths{CudaPath::engine, CudaPath::batch, CudaPath::kernel, CudaPath::poll};

/// In the order of CudaPath.
inline constexpr std::array<std::string_view, cuda_paths.size()> cuda_path_names{"engine", "batch", "kernel", "poll"};

[[nodiscard]] constexpr std::string_view name_of(CudaPath path) {
    return cuda_path_names.at(static_cast<std::size_t>(path));
}

[[nodiscard]] constexpr std::optional<CudaPath> cuda_path_of(std::string_view name) {
    for (const CudaPath path : cuda_paths)
        if (name_of(path) == name)
            return path;
    return std::nullopt;
}

} // namespace vramswap
