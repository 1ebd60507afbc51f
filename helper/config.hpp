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
#include "size_rule.hpp"

namespace vramswap {

/// Which engine to use. `automatic` lets the helper choose the best that this machine has.
enum class EngineChoice : std::uint8_t { automatic, host, cuda };

/// The highest N of vramswapN: the module makes 16 devices at most (VS_MAX_DEVICES).
inline constexpr unsigned max_device = 15;

/// What the user asked for, in files and on the command line; never changed after parsing. docs/CONFIG.md tells of
/// each key, and why its default is what it is.
struct Config {
    unsigned device = 0;              ///< N of /dev/vramswapN
    bool configured = false;          ///< a file has a section for it: it is made if the kernel has none
    std::optional<SizeRule> size;     ///< not yet rounded; none: a part of the GPU's memory
    std::optional<SizeRule> headroom; ///< VRAM that is left free; none: whatever `size` leaves
    EngineChoice engine = EngineChoice::automatic;
    std::string gpu;                     ///< index, UUID or PCI address for the CUDA engine; empty: the first
    std::optional<CudaPath> cuda_path;   ///< how the CUDA engine copies; none: as it finds best
    std::optional<bool> checksums;       ///< none: where memory does not correct its own errors
    std::string store;                   ///< path of the file or device behind the host engine; empty: a memfd
    std::chrono::microseconds spin{100}; ///< the longest that an I/O thread looks for work before it sleeps
    std::chrono::seconds wait_device{5}; ///< how long to wait for the control device to be free
    unsigned swap_priority = 50;         ///< for vramswapctl swap-on
    bool files_count = true;             ///< false: contents wait, and no file was read

    // For the kernel's device. What is not set stays as it is there.
    std::optional<unsigned> queues;
    std::optional<std::chrono::milliseconds> hold_timeout;
    std::optional<std::chrono::milliseconds> io_timeout;
};

/// A text that the user asked for instead of a run: --help or --version.
struct Text {
    std::string text;
};

/// Is it an index, a UUID ("GPU-...") or a PCI address, as far as its looks go?
[[nodiscard]] bool looks_like_gpu(std::string_view text);

/// The longest path that --store takes, bytes; it must fit into the record that a successor reads.
inline constexpr std::size_t max_store_path = 1023;

/// Reads the command line, and if `read_files` the configuration of the system below `root` or of the file that
/// --config names. An error's message is ready to be shown.
[[nodiscard]] Result<std::variant<Config, Text>> parse_config(int argc, const char* const* argv,
                                                              const std::string& root = {}, bool read_files = true);

} // namespace vramswap
