// SPDX-License-Identifier: MIT
// A machine's files, below a folder that may stand for its root.
#pragma once

#include "doctor.hpp"

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vramswap::ctl {

/// Is there such a file or folder?
bool has(const Patient& patient, std::string_view path);

/// A file's text without blanks at its end; empty if it cannot be read.
std::string text_of(const Patient& patient, std::string_view path);

/// A file's text as a whole number.
std::optional<long> number_in(const Patient& patient, std::string_view path);

/// What is in a folder, sorted; nothing if there is none.
std::vector<std::filesystem::path> entries_of(const Patient& patient, std::string_view path);

/// The kernel's version, as uname -r shows it.
std::string release_of(const Patient& patient);

} // namespace vramswap::ctl
