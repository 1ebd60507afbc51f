// SPDX-License-Identifier: MIT
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "checks.hpp"
#include "measure.hpp"
#include "neighbour.hpp"

namespace vramswap::bench {

/// All that came out.
struct Report {
    bool fake = false; ///< there was no GPU
    std::string only;  ///< what the names of all steps have that were taken; empty: there are all
    std::vector<std::pair<std::string, std::string>> hardware;
    std::vector<Finding> findings;
    std::vector<Raw> raw;
    std::vector<Crossover> crossover;
    std::vector<Row> rows;
    std::string choice; ///< what the engine took for the rows without a path, and why
    std::vector<Beside> beside;
    std::optional<double> idle;
    std::vector<std::string> troubles; ///< what could not be measured, and why
};

[[nodiscard]] std::string to_markdown(const Report& report);
[[nodiscard]] std::string to_json(const Report& report);

/// As reports have it.
[[nodiscard]] const char* word(Verdict verdict);
[[nodiscard]] const char* word(Mix mix);

/// Of all together: something failed or could not be measured; else, something was not looked at; else ok.
[[nodiscard]] Verdict verdict(const Report& report);

} // namespace vramswap::bench
