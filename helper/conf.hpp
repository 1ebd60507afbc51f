// SPDX-License-Identifier: MIT
// Configuration files as they are written: sections of keys and values. What they mean is settings.hpp's.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "error.hpp"

namespace vramswap {

/// "key = value", and its line.
struct ConfEntry {
    unsigned line = 0;
    std::string key;
    std::string value;
};

/// "[name]", where it stands, and what follows.
struct ConfSection {
    std::string file;
    unsigned line = 0;
    std::string name;
    std::vector<ConfEntry> entries;
};

/// The files that configure the system below `root` ("" for the running one), in the order in which they count:
/// /etc/vramswap.conf, then the drop-ins /etc, /run and /usr/lib/vramswap.conf.d/*.conf by their names. Of drop-ins of
/// one name, /etc has precedence over /run, and /run over /usr/lib. Files that are not there are left out.
[[nodiscard]] Result<std::vector<std::string>> conf_files(const std::string& root);

/// The sections of a file's text; `file` is its name for errors (EINVAL), which begin with "FILE:LINE: ".
[[nodiscard]] Result<std::vector<ConfSection>> conf_parse(std::string_view text, const std::string& file);

/// The sections of all files, in order.
[[nodiscard]] Result<std::vector<ConfSection>> conf_read(const std::vector<std::string>& files);

} // namespace vramswap
