// SPDX-License-Identifier: MIT
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "checks.hpp"
#include "measure.hpp"

namespace vramswap::bench {

/// All that came out.
struct Report {
    bool fake = false; ///< there was no GPU
    std::vector<std::pair<std::string, std::string>> hardware;
    std::vector<Finding> findings;
    std::vector<Raw> raw;
    std::string choice; ///< what the engine finds best
    std::vector<Row> rows;
    std::optional<double> idle;
    std::vector<std::string> troubles; ///< what could not be measured, and why
};

[[nodiscard]] std::string to_markdown(const Report& report);
[[nodiscard]] std::string to_json(const Report& report);

/// As reports have it.
[[nodiscard]] const char* word(Verdict verdict);

/// Everything right that was looked at?
[[nodiscard]] bool passed(const Report& report);

} // namespace vramswap::bench
