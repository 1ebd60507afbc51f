// SPDX-License-Identifier: MIT
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "report.hpp"

namespace vramswap::bench {

/// Something that the project wants to reach on an H100 or H200, and what a run has found of it.
struct Goal {
    std::string what;
    std::string wanted;
    std::string found;       ///< the best, and how; empty: not measured
    std::optional<bool> met; ///< nothing: not measured
};

/// All of them. A goal that is missed fails no run.
[[nodiscard]] std::vector<Goal> goals(const Report& report);

} // namespace vramswap::bench
