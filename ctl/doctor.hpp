// SPDX-License-Identifier: MIT
// What goes wrong with swap on a GPU in practice, looked for one by one.
#pragma once

#include "control.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vramswap::ctl {

enum class Health : std::uint8_t { ok, warning, error };

/// What one check found, and how to mend it, if it is to be mended.
struct Finding {
    std::string_view check;
    Health health = Health::ok;
    std::string what;
    std::string mend;
};

/// The machine. Files are read below `root`, which a test may make up; what only a running system tells is not there
/// for another one, and is then not looked at.
struct Patient {
    std::string root;                               ///< "" for the running system
    std::optional<std::vector<DeviceInfo>> devices; ///< as the module tells
    std::optional<std::string> gpus;                ///< lines of "FREE, TOTAL, NAME", MiB, as nvidia-smi prints them
    std::optional<std::string> signature;           ///< modinfo's sig_id of the module; blank if it is not signed
};

/// All checks, in the order in which they depend on each other. Those that find nothing to look at say nothing.
std::vector<Finding> examine(const Patient& patient);

/// The worst of them.
Health worst(const std::vector<Finding>& findings);

/// "ok", "warning" or "error".
const char* health_word(Health health);

} // namespace vramswap::ctl
