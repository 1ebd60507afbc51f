// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "load.hpp"
#include "setting.hpp"

namespace vramswap::bench {

/// One measured load.
struct Row {
    std::string engine; ///< "cuda" and the path, or "host"
    std::string what;
    Mix mix = Mix::read;
    unsigned queues = 1;
    unsigned depth = 1; ///< of all queues together
    std::uint32_t length = 4096;
    std::chrono::microseconds look{}; ///< the longest that an I/O thread looked for work before it slept
    Outcome outcome;
};

/// What the GPU's copies can do without anything of ours around them.
struct Raw {
    std::string what;
    double bytes_per_second = 0;
    double per_second = 0;    ///< copies
    std::uint64_t p50_ns = 0; ///< of one copy, waited for; 0 where many are under way
    std::uint64_t p99_ns = 0;
    std::string link{}; ///< what the PCIe link was meanwhile; empty: not looked at
};

/// How long it takes to copy 1, 2, 4 ... pages at once by one path, as the engine measures it at start to choose.
struct Crossover {
    using Times = std::array<std::uint64_t, CudaPaths::sizes>; ///< ns; 0: not measured

    std::string path;
    Times reads{};
    Times writes{};
};

struct Loads {
    std::vector<Row> rows;
    std::string remarks; ///< the engine's own words on how it copies
};

/// Loads through the ring into the GPU or, with `host`, into host memory. Errors as the engine's own.
[[nodiscard]] Result<Loads> measure_loads(const Setting& setting, bool host);

/// Each path that there is, but for the one that never ends, with nothing else going on.
[[nodiscard]] Result<std::vector<Crossover>> measure_crossover(const Setting& setting);

/// Pinned copies of 64 MiB, and synchronous copies of 4 KiB from ordinary memory, by one thread and by several, as a
/// daemon makes them that calls cuMemcpyHtoD and cuMemcpyDtoH.
[[nodiscard]] Result<std::vector<Raw>> measure_raw(const Setting& setting);

/// Processor time that an idle session takes, seconds in each second.
[[nodiscard]] Result<std::optional<double>> measure_idle(const Setting& setting);

} // namespace vramswap::bench
