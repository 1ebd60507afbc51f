// SPDX-License-Identifier: MIT
// vramswapctl status: a line for each device.
#include "cells.hpp"
#include "commands.hpp"
#include "format.hpp"
#include "json.hpp"
#include "parse.hpp"
#include "tally.hpp"
#include "terminal.hpp"
#include "words.hpp"

#include <fmt/format.h>

#include <cerrno>

namespace vramswap::ctl {
namespace {

/// All that a line may tell of a device.
struct Subject {
    DeviceInfo device;
    QueueStats total;
    OpStats reads_and_writes;
    std::optional<SwapArea> swap;
};

std::string size_cell(std::uint64_t bytes, bool exact) {
    return exact ? fmt::to_string(bytes) : format_size(bytes);
}

std::string latency_cell(const Subject& subject, double fraction, bool exact) {
    const auto ns = latency_percentile(subject.reads_and_writes.latency, fraction);
    return exact && ns ? fmt::format("{:.0f}", *ns) : format_latency(ns);
}

std::string timeout_cell(std::uint32_t ms, bool exact) {
    return exact ? fmt::to_string(std::uint64_t{ms} * 1000000) : format_seconds(ms);
}

bool is_lost(const DeviceInfo& device) {
    return device.state == VRAMSWAP_STATE_HELD || device.state == VRAMSWAP_STATE_FAILED;
}

const std::vector<Cell<Subject>>& cells() {
    using S = const Subject&;
    static const std::vector<Cell<Subject>> all{
        {{"NAME", false, "the device, /dev/NAME"}, [](S s, bool) { return printable(s.device.name); }},
        {{"STATE", false, "empty, attached, live, held (its helper is gone) or failed"},
         [](S s, bool) { return state_word(s.device.state); }},
        {{"SIZE", true, "how much it holds"}, [](S s, bool e) { return size_cell(s.device.capacity, e); }},
        {{"USED", true, "bytes written and not discarded since"},
         [](S s, bool e) { return size_cell(s.device.used, e); }},
        {{"SWAP", true, "bytes in use as swap; - if it is not swapped on"},
         [](S s, bool e) { return s.swap ? size_cell(s.swap->used, e) : "-"; }},
        {{"PRIO", true, "swap priority"}, [](S s, bool) { return s.swap ? fmt::to_string(s.swap->priority) : "-"; }},
        {{"QUEUES", true, "queues of requests"}, [](S s, bool) { return fmt::to_string(s.device.queues); }},
        {{"HELPER", true, "process id of the helper"},
         [](S s, bool) { return s.device.helper_pid == 0 ? "-" : fmt::to_string(s.device.helper_pid); }},
        {{"IO-P50", true, "latency that half of all reads and writes stayed below"},
         [](S s, bool e) { return latency_cell(s, 0.5, e); }},
        {{"IO-P99", true, "latency that 99 % of all reads and writes stayed below"},
         [](S s, bool e) { return latency_cell(s, 0.99, e); }},
        {{"STORE", false, "what stores the bytes, in the helper's words"},
         [](S s, bool) { return s.device.label.empty() ? "-" : printable(s.device.label); }},
        {{"SLOTS", true, "requests that each queue can have under way"},
         [](S s, bool) { return fmt::to_string(s.device.slots); }},
        {{"SLOT-SIZE", true, "the most that one request moves"},
         [](S s, bool e) { return size_cell(s.device.slot_size, e); }},
        {{"INFLIGHT", true, "requests under way or held now"},
         [](S s, bool) { return fmt::to_string(s.total.inflight); }},
        {{"OPENERS", true, "how often the block device is open"},
         [](S s, bool) { return fmt::to_string(s.device.openers); }},
        {{"REASON", false, "why the helper was lost, while held or failed"},
         [](S s, bool) { return is_lost(s.device) ? reason_words(s.device.reason) : "-"; }},
        {{"HOLD-TIMEOUT", true, "how long requests wait for a lost helper"},
         [](S s, bool e) { return timeout_cell(s.device.hold_timeout_ms, e); }},
        {{"IO-TIMEOUT", true, "how long a helper may leave a request unanswered"},
         [](S s, bool e) { return timeout_cell(s.device.io_timeout_ms, e); }},
    };
    return all;
}

Result<Subject> examine(Control& control, DeviceInfo device, const std::vector<SwapArea>& swaps) {
    auto queues = control.stats(device.index);
    if (!queues)
        return pass_on(queues);
    Subject subject{.device = std::move(device), .total = queue_total(*queues), .reads_and_writes = {}, .swap = {}};
    subject.reads_and_writes = op_sum(subject.total.ops[VRAMSWAP_STAT_READ], subject.total.ops[VRAMSWAP_STAT_WRITE]);
    subject.swap = find_swap(swaps, subject.device.index);
    return subject;
}

} // namespace

const char* const status_default_columns = "NAME,STATE,SIZE,USED,SWAP,PRIO,QUEUES,HELPER,IO-P50,IO-P99,STORE";

const std::vector<Column>& status_columns() {
    static const std::vector<Column> columns = columns_of(cells());
    return columns;
}

Result<void> run_status(const StatusCommand& command) {
    auto control = Control::open();
    if (!control)
        return pass_on(control);
    auto devices = choose_devices(*control, command.device);
    if (!devices)
        return pass_on(devices);
    const auto swaps = read_swaps();
    std::vector<Row> rows;
    std::string json;
    for (DeviceInfo& device : *devices) {
        auto subject = examine(*control, std::move(device), swaps);
        if (!subject && subject.error().code == ENODEV && !command.device)
            continue; // deleted since the list was made
        if (!subject)
            return pass_on(subject);
        rows.push_back(make_row(cells(), *subject, command.style));
        json += json_line(json_status(subject->device, subject->reads_and_writes, subject->swap));
    }
    if (rows.empty())
        note_no_device();
    if (command.json || rows.empty())
        return print(json);
    return print(render_table(command.style.columns, rows, command.style.headings, terminal_width()));
}

} // namespace vramswap::ctl
