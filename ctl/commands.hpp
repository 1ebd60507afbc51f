// SPDX-License-Identifier: MIT
// What vramswapctl can be told to do. Each run_ function asks the kernel and prints to standard output.
#pragma once

#include "control.hpp"
#include "error.hpp"
#include "table.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <variant>
#include <vector>

namespace vramswap::ctl {

/// How a table is to look.
struct TableStyle {
    bool headings = true;
    bool exact = false; ///< bytes and nanoseconds, for programs
    std::vector<Column> columns;
};

struct StatusCommand {
    std::optional<std::uint32_t> device; ///< all if not set
    bool json = false;
    TableStyle style;
};

struct StatsCommand {
    std::optional<std::uint32_t> device; ///< all if not set
    bool json = false;
    bool each_queue = false;
    TableStyle style;
    std::optional<std::chrono::milliseconds> interval; ///< set: rates, again and again
    std::uint32_t count = 0;                           ///< how often; 0: without end
};

struct EventsCommand {
    bool json = false;
};

struct AddCommand {
    AddOptions options;
    bool json = false;
};

struct DeleteCommand {
    std::uint32_t device = 0;
};

struct SetCommand {
    std::uint32_t device = 0;
    SetOptions options;
};

using Command = std::variant<StatusCommand, StatsCommand, EventsCommand, AddCommand, DeleteCommand, SetCommand>;

/// Every column there is, and those shown when the user does not choose.
const std::vector<Column>& status_columns();
const std::vector<Column>& stats_columns();
extern const char* const status_default_columns;
extern const char* const stats_default_columns;

Result<void> run_status(const StatusCommand& command);
Result<void> run_stats(const StatsCommand& command);
Result<void> run_rates(const StatsCommand& command);
Result<void> run_events(const EventsCommand& command);
Result<void> run_add(const AddCommand& command);
Result<void> run_delete(const DeleteCommand& command);
Result<void> run_set(const SetCommand& command);

} // namespace vramswap::ctl
