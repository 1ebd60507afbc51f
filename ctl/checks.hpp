// SPDX-License-Identifier: MIT
// The doctor's checks. Each answers with a finding, or with nothing where there is nothing to look at.
#pragma once

#include "doctor.hpp"

#include <optional>

namespace vramswap::ctl {

// What must be there (checks_parts.cpp).
std::optional<Finding> check_kernel(const Patient& patient);
std::optional<Finding> check_module(const Patient& patient);
std::optional<Finding> check_signature(const Patient& patient); ///< under Secure Boot
std::optional<Finding> check_configuration(const Patient& patient);
std::optional<Finding> check_gpu(const Patient& patient);
std::optional<Finding> check_driver(const Patient& patient);
std::optional<Finding> check_vram(const Patient& patient);
std::optional<Finding> check_devices(const Patient& patient);

// What surrounds it (checks_swap.cpp).
std::optional<Finding> check_swapped_on(const Patient& patient);
std::optional<Finding> check_tiers(const Patient& patient); ///< other swap
std::optional<Finding> check_swappiness(const Patient& patient);
std::optional<Finding> check_page_cluster(const Patient& patient);
std::optional<Finding> check_zswap(const Patient& patient);
std::optional<Finding> check_oomd(const Patient& patient);
std::optional<Finding> check_hibernation(const Patient& patient);

} // namespace vramswap::ctl
