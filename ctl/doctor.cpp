// SPDX-License-Identifier: MIT
#include "doctor.hpp"

#include "checks.hpp"

#include <algorithm>
#include <array>

namespace vramswap::ctl {

std::vector<Finding> examine(const Patient& patient) {
    using Check = std::optional<Finding> (*)(const Patient&);
    constexpr std::array<Check, 15> checks{check_kernel,     check_module, check_signature,  check_configuration,
                                           check_gpu,        check_driver, check_vram,       check_devices,
                                           check_swapped_on, check_tiers,  check_swappiness, check_page_cluster,
                                           check_zswap,      check_oomd,   check_hibernation};
    std::vector<Finding> findings;
    for (const Check check : checks)
        if (auto finding = check(patient))
            findings.push_back(std::move(*finding));
    return findings;
}

Health worst(const std::vector<Finding>& findings) {
    const auto found = std::ranges::max_element(findings, {}, &Finding::health);
    return found == findings.end() ? Health::ok : found->health;
}

const char* health_word(Health health) {
    switch (health) {
    case Health::ok:
        return "ok";
    case Health::warning:
        return "warning";
    case Health::error:
        break;
    }
    return "error";
}

} // namespace vramswap::ctl
