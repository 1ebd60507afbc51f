// SPDX-License-Identifier: MIT
// vramswapctl. Exit status: enum ExitStatus.
#include "command_line.hpp"
#include "terminal.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <exception>
#include <string_view>

namespace vramswap::ctl {
namespace {

ExitStatus complain(std::string_view sentence, ExitStatus status) {
    static_cast<void>(std::fputs(fmt::format("vramswapctl: {}\n", sentence).c_str(), stderr));
    return status;
}

/// Of a run that ended well or badly.
ExitStatus finished(const Result<void>& done, ExitStatus otherwise = exit_failed) {
    return done ? exit_done : complain(done.error().message, otherwise);
}

/// Of a run that may be refused for want of room.
ExitStatus finished_or_no_room(const Result<void>& done) {
    return finished(done, !done && done.error().code == ENOSPC ? exit_no_room : exit_failed);
}

struct Run {
    ExitStatus operator()(const StatusCommand& command) const { return finished(run_status(command)); }
    ExitStatus operator()(const StatsCommand& command) const {
        return finished(command.interval ? run_rates(command) : run_stats(command));
    }
    ExitStatus operator()(const EventsCommand& command) const { return finished(run_events(command)); }
    ExitStatus operator()(const AddCommand& command) const { return finished(run_add(command)); }
    ExitStatus operator()(const DeleteCommand& command) const { return finished(run_delete(command)); }
    ExitStatus operator()(const SetCommand& command) const { return finished(run_set(command)); }
    ExitStatus operator()(const SwapOnCommand& command) const { return finished(run_swap_on(command)); }
    ExitStatus operator()(const SwapOffCommand& command) const { return finished_or_no_room(run_swap_off(command)); }
    ExitStatus operator()(const StartCommand& command) const { return finished(run_start(command)); }
    ExitStatus operator()(const StopCommand& command) const { return finished_or_no_room(run_stop(command)); }
    ExitStatus operator()(const TopCommand& command) const { return finished(run_top(command)); }
    ExitStatus operator()(const BenchCommand& command) const { return finished(run_bench(command)); }
    ExitStatus operator()(const MetricsCommand& command) const { return finished(run_metrics(command)); }
    ExitStatus operator()(const DoctorCommand& command) const {
        const auto found = run_doctor(command);
        return found ? *found : complain(found.error().message, exit_failed);
    }
};

int run(int argc, const char* const* argv) {
    const auto parsed = parse_command_line(argc, argv);
    if (!parsed)
        return complain(parsed.error().message, exit_usage);
    if (const auto* notice = std::get_if<Notice>(&*parsed))
        return finished(print(notice->text));
    return std::visit(Run{}, std::get<Command>(*parsed));
}

} // namespace
} // namespace vramswap::ctl

int main(int argc, char** argv) {
    try {
        return vramswap::ctl::run(argc, argv);
    } catch (const std::exception& error) {
        static_cast<void>(std::fputs("vramswapctl: ", stderr));
        static_cast<void>(std::fputs(error.what(), stderr));
        static_cast<void>(std::fputs("\n", stderr));
        return vramswap::ctl::exit_failed;
    }
}
