// SPDX-License-Identifier: MIT
// argv → what to do. The only user of the option library.
#pragma once

#include "commands.hpp"
#include "error.hpp"

#include <string>
#include <variant>

namespace vramswap::ctl {

/// --help or --version: to be printed, nothing else to be done.
struct Notice {
    std::string text;
};

/// Errors are usage errors: one sentence, and where to read more.
Result<std::variant<Notice, Command>> parse_command_line(int argc, const char* const* argv);

} // namespace vramswap::ctl
