// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <functional>
#include <string>

#include "report.hpp"

namespace vramswap::bench {

/// Does one step of the bench in a process of its own, and adds what came out of it to `report`. A GPU that hangs or
/// whose context breaks spoils that process, and no other step; what became of it is one of the report's troubles.
/// `what`: the step's name. `limit`: after that time the process is killed. This process must not have used CUDA.
void in_own_process(const std::string& what, std::chrono::milliseconds limit, const std::function<void(Report&)>& step,
                    Report& report);

} // namespace vramswap::bench
