// SPDX-License-Identifier: MIT
// Devices as Prometheus reads them. Pure.
#pragma once

#include "sample.hpp"

#include <string>

namespace vramswap::ctl {

/// The text exposition format, version 0.0.4: every metric with HELP and TYPE, units in names, one label `device`.
std::string metrics_text(const Samples& samples);

} // namespace vramswap::ctl
