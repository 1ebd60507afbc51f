// SPDX-License-Identifier: MIT
// What vramswapctl can be told to do. Each run_ function asks the kernel and prints to standard output.
#pragma once

#include "control.hpp"
#include "error.hpp"
#include "table.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
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
    bool rates = false; ///< in JSON, too
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

struct SwapOnCommand {
    std::uint32_t device = 0;
    std::optional<unsigned> priority;      ///< none: as configured
    std::chrono::milliseconds wait{30000}; ///< for the device to be live
};

struct SwapOffCommand {
    std::uint32_t device = 0;
};

struct StartCommand {
    std::uint32_t device = 0;
};

struct StopCommand {
    std::uint32_t device = 0;
};

struct TopCommand {
    std::optional<std::uint32_t> device; ///< all if not set
    std::chrono::milliseconds interval{1000};
};

struct DoctorCommand {
    std::string root; ///< of the system that is looked at; empty: the running one
    bool json = false;
};

struct BenchCommand {
    std::string path;                     ///< of a block device
    std::chrono::milliseconds time{1000}; ///< for each of its measurements
    bool json = false;
};

struct MetricsCommand {
    std::string output; ///< a file; empty: standard output
};

using Command =
    std::variant<StatusCommand, StatsCommand, EventsCommand, AddCommand, DeleteCommand, SetCommand, SwapOnCommand,
                 SwapOffCommand, StartCommand, StopCommand, TopCommand, DoctorCommand, BenchCommand, MetricsCommand>;

/// What vramswapctl ends with. docs/CONTROL.md tells users.
enum ExitStatus : std::uint8_t {
    exit_done = 0,
    exit_failed = 1,
    exit_usage = 2,   ///< the command line is not understood
    exit_warning = 3, ///< doctor found what could be better
    exit_error = 4,   ///< doctor found what is wrong
    exit_no_room = 5, ///< refused: the pages do not fit elsewhere
};

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
Result<void> run_top(const TopCommand& command);
Result<void> run_bench(const BenchCommand& command);
Result<void> run_metrics(const MetricsCommand& command);
Result<void> run_start(const StartCommand& command);

/// Content with what is swapped on already.
Result<void> run_swap_on(const SwapOnCommand& command);

/// ENOSPC, with the figures, if the pages do not fit elsewhere; content with what is not swapped on.
Result<void> run_swap_off(const SwapOffCommand& command);
Result<void> run_stop(const StopCommand& command);

/// exit_done, exit_warning or exit_error.
Result<ExitStatus> run_doctor(const DoctorCommand& command);

} // namespace vramswap::ctl
