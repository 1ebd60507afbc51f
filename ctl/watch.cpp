// SPDX-License-Identifier: MIT
// vramswapctl stats --interval: what happens now, a line for each interval and device.
#include "commands.hpp"
#include "json.hpp"
#include "rates.hpp"
#include "sample.hpp"
#include "terminal.hpp"

#include <thread>

namespace vramswap::ctl {
namespace {

using Clock = std::chrono::steady_clock;

/// How many lines of figures a terminal shows before the headings come again.
constexpr std::size_t lines_per_heading = 20;

/// What the lines look like so far.
struct Page {
    bool json;
    bool headings;
    bool with_name = false; // while there is more than one device
    std::size_t lines = 0;

    std::string line(const Sample& now, const Sample& before) {
        const Rates rates = rates_since(now, before);
        if (json)
            return json_line(json_rates(now.device, rates, now.swap, timestamp_now()));
        const bool heading = headings && (on_terminal() ? lines % lines_per_heading == 0 : lines == 0);
        ++lines;
        return (heading ? rates_heading(with_name) : "") +
               rates_line(rates, now.device, now.swap ? now.swap->used : now.device.used, clock_now(), with_name);
    }
};

Result<void> report(Page& page, const Samples& now, const Samples& before) {
    if (page.with_name != (now.size() > 1)) {
        page.with_name = !page.with_name;
        page.lines = 0; // the headings change
    }
    std::string text;
    for (const auto& [index, sample] : now)
        if (const auto earlier = before.find(index); earlier != before.end())
            text += page.line(sample, earlier->second);
    return print(text);
}

} // namespace

Result<void> run_rates(const StatsCommand& command) {
    auto control = Control::open();
    if (!control)
        return pass_on(control);
    auto before = look(*control, command.device);
    if (!before)
        return pass_on(before);
    if (before->empty())
        note_no_device();
    Page page{.json = command.json, .headings = command.style.headings};
    auto next = Clock::now();
    for (std::uint32_t round = 0; command.count == 0 || round < command.count; ++round) {
        next += *command.interval;
        std::this_thread::sleep_until(next);
        auto now = look(*control, command.device);
        if (!now)
            return pass_on(now);
        if (auto printed = report(page, *now, *before); !printed)
            return printed;
        before = std::move(now);
    }
    return {};
}

} // namespace vramswap::ctl
