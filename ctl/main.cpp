// SPDX-License-Identifier: MIT
// vramswapctl. Exit status: 0 done, 1 failed, 2 not understood.
#include "command_line.hpp"
#include "terminal.hpp"

#include <fmt/format.h>

#include <cstdio>
#include <exception>
#include <string_view>

namespace vramswap::ctl {
namespace {

constexpr int exit_done = 0;
constexpr int exit_failed = 1;
constexpr int exit_usage = 2;

int complain(std::string_view sentence, int status) {
    static_cast<void>(std::fputs(fmt::format("vramswapctl: {}\n", sentence).c_str(), stderr));
    return status;
}

struct Run {
    Result<void> operator()(const StatusCommand& command) const { return run_status(command); }
    Result<void> operator()(const StatsCommand& command) const {
        return command.interval ? run_rates(command) : run_stats(command);
    }
    Result<void> operator()(const EventsCommand& command) const { return run_events(command); }
    Result<void> operator()(const AddCommand& command) const { return run_add(command); }
    Result<void> operator()(const DeleteCommand& command) const { return run_delete(command); }
    Result<void> operator()(const SetCommand& command) const { return run_set(command); }
};

int run(int argc, const char* const* argv) {
    const auto parsed = parse_command_line(argc, argv);
    if (!parsed)
        return complain(parsed.error().message, exit_usage);
    const auto* notice = std::get_if<Notice>(&*parsed);
    const auto done = notice != nullptr ? print(notice->text) : std::visit(Run{}, std::get<Command>(*parsed));
    return done ? exit_done : complain(done.error().message, exit_failed);
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
