// SPDX-License-Identifier: MIT
#pragma once

#include <string>

#include <helper/cuda_device.hpp>

#include "report.hpp"

namespace vramswap::bench {

/// What it is that is measured.
void describe(const Setting& setting, Report& report);

/// Speed and width that the GPU's PCIe link has at this moment. A GPU that rests has a slow one.
[[nodiscard]] std::string pcie_link(const CudaGpu& gpu);

} // namespace vramswap::bench
