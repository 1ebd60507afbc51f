// SPDX-License-Identifier: MIT
#include "screen.hpp"

#include "cells.hpp"
#include "format.hpp"
#include "words.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <optional>

namespace vramswap::ctl {
namespace {

/// One device.
struct Subject {
    const Sample& sample;
    std::optional<Rates> rates;
};

std::uint64_t in_use(const Sample& sample) {
    return sample.swap ? sample.swap->used : sample.device.used;
}

/// "####......  40%": how full it is, in so many columns for the bar.
template<std::size_t width>
std::string bar_cell(const Subject& subject, bool /*exact*/) {
    const std::uint64_t size = subject.sample.device.capacity;
    if (size == 0)
        return "-";
    const double part = static_cast<double>(in_use(subject.sample)) / static_cast<double>(size);
    const auto full = std::min(width, static_cast<std::size_t>(part * static_cast<double>(width) + 0.5));
    return fmt::format("{}{} {:3.0f}%", std::string(full, '#'), std::string(width - full, '.'), part * 100);
}

std::string bytes_cell(const Subject& subject, const Flow Rates::* flow) {
    return subject.rates ? format_size(static_cast<std::uint64_t>((*subject.rates.*flow).bytes_per_second)) : "-";
}

std::string latency_cell(const Subject& subject, const Flow Rates::* flow,
                         const std::optional<double> Flow::* latency) {
    return subject.rates ? format_latency(*subject.rates.*flow.*latency) : "-";
}

const std::vector<Cell<Subject>>& cells() {
    using S = const Subject&;
    static const std::vector<Cell<Subject>> all{
        {{"NAME"}, [](S s, bool) { return printable(s.sample.device.name); }},
        {{"STATE"}, [](S s, bool) { return state_word(s.sample.device.state); }},
        {{"SIZE", true}, [](S s, bool) { return format_size(s.sample.device.capacity); }},
        {{"USED", true}, [](S s, bool) { return format_size(in_use(s.sample)); }},
        {{"FULL"}, bar_cell<8>},
        {{"HOW FULL"}, bar_cell<30>},
        {{"OUT/s", true}, [](S s, bool) { return bytes_cell(s, &Rates::out); }},
        {{"OUT-P50", true}, [](S s, bool) { return latency_cell(s, &Rates::out, &Flow::p50_ns); }},
        {{"OUT-P99", true}, [](S s, bool) { return latency_cell(s, &Rates::out, &Flow::p99_ns); }},
        {{"IN/s", true}, [](S s, bool) { return bytes_cell(s, &Rates::in); }},
        {{"IN-P50", true}, [](S s, bool) { return latency_cell(s, &Rates::in, &Flow::p50_ns); }},
        {{"IN-P99", true}, [](S s, bool) { return latency_cell(s, &Rates::in, &Flow::p99_ns); }},
        {{"WAITING", true}, [](S s, bool) { return fmt::to_string(s.sample.total.inflight); }},
        {{"FAILED", true}, [](S s, bool) { return s.rates ? fmt::to_string(s.rates->errors) : "-"; }},
        {{"STORE"}, [](S s, bool) { return printable(s.sample.device.label); }},
    };
    return all;
}

std::vector<Column> columns_for(std::size_t width) {
    constexpr std::size_t wide = 130;
    const char* const names = width < wide ? "NAME,STATE,SIZE,USED,FULL,OUT/s,OUT-P99,IN/s,IN-P50,IN-P99"
                                           : "NAME,STATE,SIZE,USED,HOW FULL,OUT/s,OUT-P50,OUT-P99,IN/s,IN-P50,IN-P99,"
                                             "WAITING,FAILED,STORE";
    return choose_columns(names, columns_of(cells())).value_or(std::vector<Column>());
}

std::string device_table(const View& view, std::size_t width) {
    const TableStyle style{.columns = columns_for(width)};
    std::vector<Row> rows;
    for (const auto& [index, sample] : view.now) {
        Subject subject{.sample = sample, .rates = {}};
        if (const auto earlier = view.before.find(index); earlier != view.before.end())
            subject.rates = rates_since(sample, earlier->second);
        rows.push_back(make_row(cells(), subject, style));
    }
    return render_table(style.columns, rows, true, width);
}

/// All swap there is, the first to be filled first.
std::string swap_table(const View& view, std::size_t width) {
    static const std::vector<Column> columns{{"SWAP"}, {"PRIO", true}, {"SIZE", true}, {"USED", true}};
    std::vector<SwapArea> areas = view.swaps;
    std::ranges::stable_sort(areas, std::ranges::greater(), &SwapArea::priority);
    std::vector<Row> rows;
    for (const SwapArea& area : areas)
        rows.push_back(
            {printable(area.path), fmt::to_string(area.priority), format_size(area.size), format_size(area.used)});
    return rows.empty() ? "nothing is swapped on\n" : render_table(columns, rows, true, width);
}

std::string head_text(const View& view, std::size_t width) {
    constexpr std::string_view keys = "q ends";
    const std::string percent = stalled(view.pressure);
    const std::string left =
        fmt::format("vramswap  {}  RAM {} of {} available{}", view.clock, format_size(view.memory.available),
                    format_size(view.memory.total), percent.empty() ? "" : fmt::format("  stalled {}%", percent));
    const std::size_t used = display_width(left);
    const std::size_t gap = width > used + keys.size() + 1 ? width - used - keys.size() : 0;
    return cut_to_width(gap == 0 ? left : left + std::string(gap, ' ') + std::string(keys), width) + "\n";
}

} // namespace

std::string stalled(const std::string& pressure) {
    constexpr std::string_view start = "some avg10=";
    return pressure.starts_with(start) ? pressure.substr(start.size(), pressure.find(' ', start.size()) - start.size())
                                       : "";
}

std::string screen_text(const View& view, std::size_t width) {
    const std::string devices =
        view.now.empty() ? "no vramswap device: vramswapctl add makes one\n" : device_table(view, width);
    return head_text(view, width) + "\n" + devices + "\n" + swap_table(view, width);
}

} // namespace vramswap::ctl
