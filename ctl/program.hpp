// SPDX-License-Identifier: MIT
// Other programs.
#pragma once

#include "error.hpp"

#include <string>
#include <vector>

namespace vramswap::ctl {

/// Runs a program, found where systems keep theirs, to its end. Its standard output is thrown
/// away, its standard error is ours. Error: it cannot be run, or does not end with 0.
Result<void> run_program(const std::vector<std::string>& words);

/// The same, for what it prints.
Result<std::string> output_of_program(const std::vector<std::string>& words);

} // namespace vramswap::ctl
