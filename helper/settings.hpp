// SPDX-License-Identifier: MIT
// What can be set for a device, by its key: the same in configuration files and on vramswapd's command line.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "conf.hpp"
#include "config.hpp"
#include "error.hpp"

namespace vramswap {

/// Sets one of a device's settings. Errors: ENOENT, with the keys that there are; EINVAL, with what is allowed.
[[nodiscard]] Result<void> settings_set(Config& config, std::string_view key, std::string_view value);

/// Is `key` one of those that choose what stores the bytes? They are one choice and are made together.
[[nodiscard]] bool settings_chooses_store(std::string_view key);

/// Takes back what those keys have set.
void settings_forget_store(Config& config);

/// Do the settings fit together? To name a GPU, its path or a store is to name its engine, which this fills in.
[[nodiscard]] Result<void> settings_complete(Config& config);

/// What `sections` say of vramswap`device`; later ones win. All of them are checked, those of other devices too.
/// Errors begin with "FILE:LINE: ".
[[nodiscard]] Result<Config> settings_of(unsigned device, const std::vector<ConfSection>& sections);

/// The same of the system below `root` ("" for the running one), or of `file` alone if it is named. Not completed.
[[nodiscard]] Result<Config> settings_read(unsigned device, const std::string& root, const std::string& file = {});

/// The devices that have a section, in order.
[[nodiscard]] Result<std::vector<unsigned>> settings_devices(const std::string& root);

} // namespace vramswap
