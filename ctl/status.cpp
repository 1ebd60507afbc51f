// SPDX-License-Identifier: MIT
// vramswapctl status: a line for each device.
#include "status.hpp"

#include "cells.hpp"
#include "format.hpp"
#include "json.hpp"
#include "tally.hpp"
#include "terminal.hpp"
#include "words.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <thread>

namespace vramswap::ctl {
namespace {

/// All that a line may tell of a device.
struct Subject {
    Sample sample;
    OpStats reads_and_writes;
    std::optional<Rates> rates;
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

std::string rate_cell(const Subject& subject, const Flow Rates::* flow, bool exact) {
    if (!subject.rates)
        return "-";
    const double rate = (*subject.rates.*flow).bytes_per_second;
    return size_cell(static_cast<std::uint64_t>(rate), exact);
}

std::string or_dash(std::string text) {
    return text.empty() ? "-" : printable(text);
}

bool is_lost(const DeviceInfo& device) {
    return device.state == VRAMSWAP_STATE_HELD || device.state == VRAMSWAP_STATE_FAILED;
}

const std::vector<Cell<Subject>>& cells() {
    using S = const Subject&;
    static const std::vector<Cell<Subject>> all{
        {{"NAME", false, "the device, /dev/NAME"}, [](S s, bool) { return printable(s.sample.device.name); }},
        {{"STATE", false, "empty, attached, live, held (its helper is gone) or failed"},
         [](S s, bool) { return state_word(s.sample.device.state); }},
        {{"ENGINE", false, "what stores the bytes: cuda (a GPU) or host (RAM)"},
         [](S s, bool) { return or_dash(engine_word(s.sample.device.label)); }},
        {{"SIZE", true, "how much it holds"}, [](S s, bool e) { return size_cell(s.sample.device.capacity, e); }},
        {{"USED", true, "bytes written and not discarded since"},
         [](S s, bool e) { return size_cell(s.sample.device.used, e); }},
        {{"SWAP", true, "bytes in use as swap; - if it is not swapped on"},
         [](S s, bool e) { return s.sample.swap ? size_cell(s.sample.swap->used, e) : "-"; }},
        {{"PRIO", true, "swap priority"},
         [](S s, bool) { return s.sample.swap ? fmt::to_string(s.sample.swap->priority) : "-"; }},
        {{"OUT/s", true, "bytes written (swapped out) a second, now"},
         [](S s, bool e) { return rate_cell(s, &Rates::out, e); }},
        {{"IN/s", true, "bytes read (swapped in) a second, now"},
         [](S s, bool e) { return rate_cell(s, &Rates::in, e); }},
        {{"IO-P50", true, "latency that half of all reads and writes stayed below"},
         [](S s, bool e) { return latency_cell(s, 0.5, e); }},
        {{"IO-P99", true, "latency that 99 % of all reads and writes stayed below"},
         [](S s, bool e) { return latency_cell(s, 0.99, e); }},
        {{"GPU", false, "the GPU whose memory it is"},
         [](S s, bool) {
             return engine_word(s.sample.device.label) == "cuda" ? printable(s.sample.device.label) : "-";
         }},
        {{"STORE", false, "what stores the bytes, in the helper's words"},
         [](S s, bool) { return or_dash(s.sample.device.label); }},
        {{"HELPER", true, "process id of the helper"},
         [](S s, bool) { return s.sample.device.helper_pid == 0 ? "-" : fmt::to_string(s.sample.device.helper_pid); }},
        {{"QUEUES", true, "queues of requests"}, [](S s, bool) { return fmt::to_string(s.sample.device.queues); }},
        {{"SLOTS", true, "requests that each queue can have under way"},
         [](S s, bool) { return fmt::to_string(s.sample.device.slots); }},
        {{"SLOT-SIZE", true, "the most that one request moves"},
         [](S s, bool e) { return size_cell(s.sample.device.slot_size, e); }},
        {{"INFLIGHT", true, "requests under way or held now"},
         [](S s, bool) { return fmt::to_string(s.sample.total.inflight); }},
        {{"OPENERS", true, "how often the block device is open"},
         [](S s, bool) { return fmt::to_string(s.sample.device.openers); }},
        {{"REASON", false, "why the helper was lost, while held or failed"},
         [](S s, bool) { return is_lost(s.sample.device) ? reason_words(s.sample.device.reason) : "-"; }},
        {{"HOLD-TIMEOUT", true, "how long requests wait for a lost helper"},
         [](S s, bool e) { return timeout_cell(s.sample.device.hold_timeout_ms, e); }},
        {{"IO-TIMEOUT", true, "how long a helper may leave a request unanswered"},
         [](S s, bool e) { return timeout_cell(s.sample.device.io_timeout_ms, e); }},
    };
    return all;
}

/// Rates are of now, which takes two looks: long enough apart to mean something, not long enough to be waited for.
constexpr auto rate_time = std::chrono::milliseconds(200);

bool wants_rates(const StatusCommand& command) {
    if (command.json)
        return command.rates;
    return std::ranges::any_of(command.style.columns,
                               [](const Column& column) { return column.name == "OUT/s" || column.name == "IN/s"; });
}

Subject subject_of(Sample sample, const Samples& before) {
    Subject subject{.sample = std::move(sample), .reads_and_writes = {}, .rates = {}};
    const auto& ops = subject.sample.total.ops;
    subject.reads_and_writes = op_sum(ops[VRAMSWAP_STAT_READ], ops[VRAMSWAP_STAT_WRITE]);
    if (const auto earlier = before.find(subject.sample.device.index); earlier != before.end())
        subject.rates = rates_since(subject.sample, earlier->second);
    return subject;
}

} // namespace

const char* const status_default_columns = "NAME,STATE,ENGINE,SIZE,USED,SWAP,PRIO,OUT/s,IN/s,IO-P50,IO-P99,GPU";

const std::vector<Column>& status_columns() {
    static const std::vector<Column> columns = columns_of(cells());
    return columns;
}

std::string status_text(const Samples& now, const Samples& before, const TableStyle& style, std::size_t width) {
    std::vector<Row> rows;
    for (const auto& [index, sample] : now)
        rows.push_back(make_row(cells(), subject_of(sample, before), style));
    return render_table(style.columns, rows, style.headings, width);
}

Result<void> run_status(const StatusCommand& command) {
    auto control = Control::open();
    if (!control)
        return pass_on(control);
    Result<Samples> before;
    if (wants_rates(command)) {
        before = look(*control, command.device);
        std::this_thread::sleep_for(rate_time);
    }
    auto now = before ? look(*control, command.device) : std::move(before);
    if (!now)
        return pass_on(now);
    if (now->empty())
        note_no_device();
    if (!command.json && !now->empty())
        return print(status_text(*now, *before, command.style, terminal_width()));
    std::string json;
    for (const auto& [index, sample] : *now) {
        const Subject subject = subject_of(sample, *before);
        json += json_line(json_status(sample.device, subject.reads_and_writes, sample.swap, subject.rates));
    }
    return print(json);
}

} // namespace vramswap::ctl
