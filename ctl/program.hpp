// SPDX-License-Identifier: MIT
// Other programs.
#pragma once

#include "error.hpp"

#include <chrono>
#include <string>
#include <vector>

namespace vramswap::ctl {

/// Runs a program, found where systems keep theirs, to its end. Its standard output is thrown
/// away, its standard error is ours. Error: it cannot be run, or does not end with 0.
Result<void> run_program(const std::vector<std::string>& words);

/// The same, for what it prints; its standard error is thrown away. ETIMEDOUT if it takes longer than `limit`: it is
/// killed then, and not waited for, since what hangs in a driver cannot die.
Result<std::string> output_of_program(const std::vector<std::string>& words, std::chrono::milliseconds limit);

} // namespace vramswap::ctl
