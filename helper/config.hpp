// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "cuda_path.hpp"
#include "error.hpp"
#include "size.hpp"

namespace vramswap {

/// Which engine to use. `automatic` lets the helper choose the best that this machine has.
enum class EngineChoice : std::uint8_t { automatic, host, cuda };

/// What the user asked for; never changed after parsing.
struct Config {
    unsigned device = 0;               ///< N of /dev/vramswapN
    std::optional<std::uint64_t> size; ///< bytes, as given, not yet rounded
    EngineChoice engine = EngineChoice::automatic;
    std::string gpu;                     ///< index, UUID or PCI address for the CUDA engine; empty: the first
    std::optional<CudaPath> cuda_path;   ///< how the CUDA engine copies; none: as it finds best
    std::string store;                   ///< path of the file or device behind the host engine; empty: a memfd
    std::chrono::microseconds spin{100}; ///< the longest that an I/O thread looks for work before it sleeps
    std::chrono::seconds wait_device{5}; ///< how long to wait for the control device to be free
};

/// A text that the user asked for instead of a run: --help or --version.
struct Text {
    std::string text;
};

/// Is it an index, a UUID ("GPU-...") or a PCI address, as far as its looks go?
[[nodiscard]] bool looks_like_gpu(std::string_view text);

/// The longest path that --store takes, bytes; it must fit into the record that a successor reads.
inline constexpr std::size_t max_store_path = 1023;

/// Reads the command line. An error's message is ready to be shown; its code is EINVAL.
[[nodiscard]] Result<std::variant<Config, Text>> parse_config(int argc, const char* const* argv);

} // namespace vramswap
