// SPDX-License-Identifier: MIT
// vramswapctl stats: what each operation has cost since the device was made.
#include "cells.hpp"
#include "commands.hpp"
#include "format.hpp"
#include "json.hpp"
#include "tally.hpp"
#include "terminal.hpp"
#include "words.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <span>

namespace vramswap::ctl {
namespace {

/// One line: an operation on one queue, or on all of them.
struct Subject {
    const DeviceInfo& device;
    std::string queue;
    std::size_t op;
    const OpStats& stats;
};

std::string exact_or(std::optional<double> ns, bool exact) {
    return exact && ns ? fmt::format("{:.0f}", *ns) : format_latency(ns);
}

std::string percentile_cell(const Subject& subject, double fraction, bool exact) {
    return exact_or(latency_percentile(subject.stats.latency, fraction), exact);
}

/// The bound of the longest bucket in use: nothing took longer.
std::string bound_cell(const OpStats& stats, bool exact) {
    const auto bound = latency_bound(stats.latency);
    return exact_or(bound ? std::optional(static_cast<double>(*bound)) : std::nullopt, exact);
}

const std::vector<Cell<Subject>>& cells() {
    using S = const Subject&;
    static const std::vector<Cell<Subject>> all{
        {{"NAME", false, "the device"}, [](S s, bool) { return printable(s.device.name); }},
        {{"QUEUE", true, "the queue's number, or all"}, [](S s, bool) { return s.queue; }},
        {{"OPERATION", false, "read (swap in), write (swap out), zeroes or discard"},
         [](S s, bool) { return std::string(op_word(s.op)); }},
        {{"REQUESTS", true, "requests completed"}, [](S s, bool) { return fmt::to_string(s.stats.requests); }},
        {{"BYTES", true, "bytes moved without an error"},
         [](S s, bool e) { return e ? fmt::to_string(s.stats.bytes) : format_size(s.stats.bytes); }},
        {{"ERRORS", true, "requests that failed"}, [](S s, bool) { return fmt::to_string(s.stats.errors); }},
        {{"MEAN", true, "mean latency, exact"}, [](S s, bool e) { return exact_or(latency_mean(s.stats), e); }},
        {{"P50", true, "latency that half of the requests stayed below"},
         [](S s, bool e) { return percentile_cell(s, 0.5, e); }},
        {{"P99", true, "latency that 99 % stayed below"}, [](S s, bool e) { return percentile_cell(s, 0.99, e); }},
        {{"P99.9", true, "latency that 99.9 % stayed below"}, [](S s, bool e) { return percentile_cell(s, 0.999, e); }},
        {{"ALL", true, "a bound that every request stayed below"}, [](S s, bool e) { return bound_cell(s.stats, e); }},
    };
    return all;
}

void add_rows(std::vector<Row>& rows, const DeviceInfo& device, const std::string& name, const QueueStats& queue,
              const TableStyle& style) {
    for (std::size_t op = 0; op < queue.ops.size(); ++op)
        rows.push_back(
            make_row(cells(), Subject{.device = device, .queue = name, .op = op, .stats = queue.ops[op]}, style));
}

Row wake_row(const std::string& name, const QueueStats& queue) {
    return {name,
            fmt::to_string(queue.doorbells),
            fmt::to_string(queue.enters),
            fmt::to_string(queue.waits),
            fmt::to_string(queue.spins),
            fmt::to_string(queue.replayed),
            fmt::to_string(queue.inflight)};
}

/// How the queues and their helper got on with each other.
std::string wake_table(std::span<const QueueStats> queues, bool each_queue) {
    static const std::vector<Column> columns{{"QUEUE", false, ""},  {"DOORBELLS", true, ""}, {"ENTERS", true, ""},
                                             {"WAITS", true, ""},   {"SPINS", true, ""},     {"REPLAYED", true, ""},
                                             {"INFLIGHT", true, ""}};
    std::vector<Row> rows;
    if (each_queue)
        for (const QueueStats& queue : queues)
            rows.push_back(wake_row(fmt::to_string(queue.index), queue));
    rows.push_back(wake_row("all", queue_total(queues)));
    return render_table(columns, rows, true);
}

std::string headline(const DeviceInfo& device) {
    return fmt::format("{}: {}, {} of {} used, {}\n\n", printable(device.name), state_word(device.state),
                       format_size(device.used), format_size(device.capacity),
                       device.label.empty() ? "no store" : "stored in " + printable(device.label));
}

std::string device_text(const DeviceInfo& device, std::span<const QueueStats> queues, const StatsCommand& command) {
    const QueueStats total = queue_total(queues);
    std::vector<Row> rows;
    if (command.each_queue)
        for (const QueueStats& queue : queues)
            add_rows(rows, device, fmt::to_string(queue.index), queue, command.style);
    add_rows(rows, device, "all", total, command.style);
    const std::string table = render_table(command.style.columns, rows, command.style.headings);
    if (!command.style.headings)
        return table;
    return headline(device) + table + "\n" + wake_table(queues, command.each_queue);
}

} // namespace

const char* const stats_default_columns = "OPERATION,REQUESTS,BYTES,ERRORS,MEAN,P50,P99,P99.9,ALL";

const std::vector<Column>& stats_columns() {
    static const std::vector<Column> columns = columns_of(cells());
    return columns;
}

Result<void> run_stats(const StatsCommand& command) {
    auto control = Control::open();
    if (!control)
        return pass_on(control);
    auto devices = choose_devices(*control, command.device);
    if (!devices)
        return pass_on(devices);
    if (devices->empty())
        note_no_device();
    std::string text;
    for (const DeviceInfo& device : *devices) {
        auto queues = control->stats(device.index);
        if (!queues && queues.error().code == ENODEV && !command.device)
            continue; // deleted since the list was made
        if (!queues)
            return pass_on(queues);
        if (command.json) {
            text += json_line(json_stats(device, *queues, command.each_queue));
            continue;
        }
        text += text.empty() || !command.style.headings ? "" : "\n";
        text += device_text(device, *queues, command);
    }
    return print(text);
}

} // namespace vramswap::ctl
