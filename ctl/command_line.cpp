// SPDX-License-Identifier: MIT
#include "command_line.hpp"

#include "parse.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <cerrno>
#include <sstream>

#ifndef VRAMSWAP_VERSION
#define VRAMSWAP_VERSION "unreleased"
#endif

namespace vramswap::ctl {
namespace {

/// Everything as the user wrote it.
struct Words {
    std::string device;
    bool json = false;
    bool rates = false;
    bool no_headings = false;
    bool exact = false;
    std::string columns;
    bool each_queue = false;
    std::string interval;
    std::uint32_t count = 0;
    AddOptions add;
    std::string slot_size;
    std::string hold_timeout;
    std::string io_timeout;
    std::string root;
    std::string output;
    std::optional<unsigned> priority;
    std::uint32_t wait_s = 30;
};

constexpr const char* device_help = "0, vramswap0 or /dev/vramswap0";

constexpr const char* stats_footer = "MEAN is exact. Percentiles come from the kernel's histogram, whose buckets are\n"
                                     "powers of two nanoseconds: within a bucket requests are taken to be spread\n"
                                     "evenly, so a percentile is right to a factor of two at worst. ALL is the upper\n"
                                     "end of the last bucket in use: no request took longer.\n\n"
                                     "DOORBELLS counts how often a sleeping helper had to be woken, ENTERS its calls\n"
                                     "into the kernel, WAITS those of them that slept, SPINS answers that a submitter\n"
                                     "waited for awake, REPLAYED requests sent again to a new helper, INFLIGHT those\n"
                                     "under way or held now. A discard never reaches the helper.\n\n"
                                     "With --interval: MB are 10^6 bytes, pages are 4096, latencies are those of the\n"
                                     "interval alone, IN USE is what swap uses or, without swap, USED of status.\n\n"
                                     "Columns:\n";

constexpr const char* set_footer = "The hold time is how long requests wait for a helper when theirs is lost. When\n"
                                   "it is over they fail, and what was swapped out is lost: a process that touches\n"
                                   "such a page is killed (SIGBUS), and if that is init, the system panics. With 0\n"
                                   "nothing waits and all this comes at once: only for devices without swap.\n\n"
                                   "The I/O time is how long a helper may leave a request unanswered before it\n"
                                   "counts as lost and the hold time begins. Too short a time gives up helpers that\n"
                                   "are merely slow.";

constexpr const char* exit_footer = "Exit status: 0 done; 1 failed; 2 not understood; 3 or 4: doctor found what could\n"
                                    "be better, or what is wrong; 5: swap-off or stop refused, as the pages do not\n"
                                    "fit elsewhere.";

constexpr const char* swap_on_footer =
    "Waits until the device is live, makes it swap space unless it is, and swaps it\n"
    "on with discards. The priority is that of --priority, or swap-priority in\n"
    "/etc/vramswap.conf, or 50. What is swapped on already stays as it is.";

constexpr const char* swap_off_footer =
    "Refused, with the figures and exit status 5, if the pages do not fit into other\n"
    "swap and available RAM, of which a fiftieth is kept in reserve. The device\n"
    "then stays up and swapped on.";

constexpr const char* stop_footer = "Swaps the device off, then ends its helper. Refused as swap-off is if the pages\n"
                                    "do not fit elsewhere: exit status 5, and the device stays up.";

constexpr const char* top_footer = "q or ^C ends. OUT is what is swapped out (writes), IN what is swapped in\n"
                                   "(reads), in bytes a second. Terminals of 130 columns or more show more.";

constexpr const char* doctor_footer = "Looks at kernel, module and its signature, configuration, GPU and driver,\n"
                                      "devices, swap tiers, swappiness, page-cluster, zswap, systemd-oomd and\n"
                                      "hibernation, and says how to mend what is wrong. Exit status: 0 all well,\n"
                                      "3 warnings, 4 errors.";

constexpr const char* bench_footer = "Only reads, past the page cache, for a few seconds: safe on a device in use,\n"
                                     "whose other I/O it slows down meanwhile. DEVICE may be the path of any block\n"
                                     "device, to compare.";

constexpr const char* metrics_footer = "Prometheus' text format, for node_exporter's textfile collector. A FILE is\n"
                                       "replaced at once: no reader sees a part of it.";

/// In the order of --help.
std::string command_names(const CLI::App& app) {
    std::string names;
    const auto commands = app.get_subcommands([](const CLI::App*) { return true; });
    for (std::size_t i = 0; i < commands.size(); ++i)
        names += (i == 0 ? "" : i + 1 == commands.size() ? " or " : ", ") + commands[i]->get_name();
    return names;
}

void add_device(CLI::App& app, Words& words, bool required) {
    app.add_option("DEVICE", words.device, device_help)->required(required)->type_name("");
}

void add_table_options(CLI::App& app, Words& words) {
    app.add_flag("-J,--json", words.json, "One JSON object a line");
    app.add_flag("-n,--noheadings", words.no_headings, "No heading line");
    app.add_flag("-b,--bytes", words.exact, "Exact: bytes and nanoseconds");
    app.add_option("-o,--output", words.columns, "Which columns, as in NAME,USED; see below")->type_name("COLS");
}

void add_status(CLI::App& app, Words& words) {
    CLI::App* status = app.add_subcommand("status", "Shows the devices and their use as swap");
    add_device(*status, words, false);
    add_table_options(*status, words);
    status->add_flag("-r,--rates", words.rates, "With --json: bytes written and read a second");
    status->footer("Columns:\n" + explain_columns(status_columns()));
}

void add_stats(CLI::App& app, Words& words) {
    CLI::App* stats = app.add_subcommand("stats", "Shows requests, errors and latencies, or rates");
    add_device(*stats, words, false);
    add_table_options(*stats, words);
    stats->add_flag("-q,--queues", words.each_queue, "A line for each queue as well");
    stats->add_option("-i,--interval", words.interval, "Shows rates, again and again")->type_name("SECONDS");
    stats->add_option("-c,--count", words.count, "How many rates; without it, no end")->type_name("N");
    stats->footer(stats_footer + explain_columns(stats_columns()));
}

void add_events(CLI::App& app, Words& words) {
    CLI::App* events = app.add_subcommand("events", "Follows what happens to devices");
    events->add_flag("-J,--json", words.json, "One JSON object a line");
}

void add_add(CLI::App& app, Words& words) {
    CLI::App* add = app.add_subcommand("add", "Makes a device and prints its name");
    add->add_option("--index", words.add.index, "N of vramswapN")->type_name("N");
    add->add_option("--queues", words.add.queues, "Queues of requests, one helper thread each")->type_name("N");
    add->add_option("--slots", words.add.slots, "Requests that each queue can have under way")->type_name("N");
    add->add_option("--slot-size", words.slot_size, "The most that one request moves")->type_name("BYTES");
    add->footer("What is not given, the kernel chooses. BYTES may end in K or M.");
    add->add_flag("-J,--json", words.json, "The new device as one JSON object");
}

void add_delete(CLI::App& app, Words& words) {
    CLI::App* remove = app.add_subcommand("delete", "Removes a device that nobody uses");
    add_device(*remove, words, true);
}

void add_set(CLI::App& app, Words& words) {
    CLI::App* set = app.add_subcommand("set", "Changes a device's timeouts");
    add_device(*set, words, true);
    set->add_option("--hold-timeout", words.hold_timeout, "How long to wait for a lost helper")->type_name("SECONDS");
    set->add_option("--io-timeout", words.io_timeout, "How long to wait for an answer")->type_name("SECONDS");
    set->footer(set_footer);
}

void add_swap(CLI::App& app, Words& words) {
    CLI::App* on = app.add_subcommand("swap-on", "Makes a device swap and swaps it on");
    add_device(*on, words, true);
    on->add_option("-p,--priority", words.priority, "Priority, 0 to 32767")
        ->option_text("N")
        ->check(CLI::Range(0, 32767));
    on->add_option("-w,--wait", words.wait_s, "How long to wait until it is live (30)")->type_name("SECONDS");
    on->footer(swap_on_footer);
    CLI::App* off = app.add_subcommand("swap-off", "Swaps a device off if its pages fit elsewhere");
    add_device(*off, words, true);
    off->footer(swap_off_footer);
}

void add_service(CLI::App& app, Words& words) {
    CLI::App* start = app.add_subcommand("start", "Starts a device's service (systemd)");
    add_device(*start, words, false);
    start->footer("Starts vramswap@N.service, for the device 0 if none is named.");
    CLI::App* stop = app.add_subcommand("stop", "Stops a device's service if its pages have room");
    add_device(*stop, words, false);
    stop->footer(stop_footer);
}

void add_top(CLI::App& app, Words& words) {
    CLI::App* top = app.add_subcommand("top", "Shows devices and swap, live");
    add_device(*top, words, false);
    top->add_option("-i,--interval", words.interval, "How often it looks (1)")->type_name("SECONDS");
    top->footer(top_footer);
}

void add_doctor(CLI::App& app, Words& words) {
    CLI::App* doctor = app.add_subcommand("doctor", "Looks for what goes wrong, and says how to mend it");
    doctor->add_flag("-J,--json", words.json, "One JSON object a line");
    doctor->add_option("--root", words.root, "Look at the system below this folder")->type_name("DIR");
    doctor->footer(doctor_footer);
}

void add_bench(CLI::App& app, Words& words) {
    CLI::App* bench = app.add_subcommand("bench", "Measures how quick reads are");
    add_device(*bench, words, true);
    bench->add_option("-t,--time", words.interval, "How long for each of three measurements (1)")->type_name("SECONDS");
    bench->add_flag("-J,--json", words.json, "One JSON object a line");
    bench->footer(bench_footer);
}

void add_metrics(CLI::App& app, Words& words) {
    CLI::App* metrics = app.add_subcommand("metrics", "Writes all counters for Prometheus");
    metrics->add_option("-o,--output", words.output, "Into this file")->type_name("FILE");
    metrics->footer(metrics_footer);
}

// --- words → command ---

Result<TableStyle> table_style(const Words& words, const char* columns, const std::vector<Column>& known) {
    auto chosen = choose_columns(words.columns.empty() ? columns : words.columns, known);
    if (!chosen)
        return pass_on(chosen);
    return TableStyle{.headings = !words.no_headings, .exact = words.exact, .columns = std::move(*chosen)};
}

Result<std::optional<std::uint32_t>> optional_device(const Words& words) {
    if (words.device.empty())
        return std::nullopt;
    auto device = parse_device(words.device);
    if (!device)
        return pass_on(device);
    return *device;
}

Result<Command> make_status(const Words& words) {
    auto device = optional_device(words);
    if (!device)
        return pass_on(device);
    auto style = table_style(words, status_default_columns, status_columns());
    if (!style)
        return pass_on(style);
    return StatusCommand{.device = *device, .json = words.json, .rates = words.rates, .style = std::move(*style)};
}

Result<Command> make_stats(const Words& words) {
    if (words.count != 0 && words.interval.empty())
        return fail(EINVAL, "--count says how many intervals to show: give --interval as well");
    auto device = optional_device(words);
    if (!device)
        return pass_on(device);
    const std::string columns = (words.each_queue ? "QUEUE," : "") + std::string(stats_default_columns);
    auto style = table_style(words, columns.c_str(), stats_columns());
    if (!style)
        return pass_on(style);
    StatsCommand command{.device = *device,
                         .json = words.json,
                         .each_queue = words.each_queue,
                         .style = std::move(*style),
                         .interval = {},
                         .count = words.count};
    if (!words.interval.empty()) {
        auto interval = parse_interval(words.interval);
        if (!interval)
            return pass_on(interval);
        command.interval = *interval;
    }
    return command;
}

Result<Command> make_add(const Words& words) {
    AddCommand command{.options = words.add, .json = words.json};
    if (words.slot_size.empty())
        return command;
    auto bytes = parse_size(words.slot_size);
    if (!bytes)
        return pass_on(bytes);
    command.options.slot_size = *bytes;
    return command;
}

Result<Command> make_delete(const Words& words) {
    auto device = parse_device(words.device);
    if (!device)
        return pass_on(device);
    return DeleteCommand{*device};
}

Result<void> read_timeout(const std::string& text, std::optional<std::uint32_t>& timeout) {
    if (text.empty())
        return {};
    auto ms = parse_timeout_ms(text);
    if (!ms)
        return pass_on(ms);
    timeout = *ms;
    return {};
}

Result<Command> make_set(const Words& words) {
    SetCommand command;
    auto device = parse_device(words.device);
    if (!device)
        return pass_on(device);
    command.device = *device;
    if (auto read = read_timeout(words.hold_timeout, command.options.hold_timeout_ms); !read)
        return pass_on(read);
    if (auto read = read_timeout(words.io_timeout, command.options.io_timeout_ms); !read)
        return pass_on(read);
    if (!command.options.hold_timeout_ms && !command.options.io_timeout_ms)
        return fail(EINVAL, "there is nothing to set: give --hold-timeout or --io-timeout");
    return command;
}

/// For commands that mean the device 0 if none is named.
template<class Kind>
Result<Command> make_for_device(const Words& words) {
    auto device = parse_device(words.device.empty() ? "0" : words.device);
    if (!device)
        return pass_on(device);
    return Kind{.device = *device};
}

Result<Command> make_swap_on(const Words& words) {
    auto device = parse_device(words.device);
    if (!device)
        return pass_on(device);
    return SwapOnCommand{
        .device = *device, .priority = words.priority, .wait = std::chrono::seconds(std::uint64_t{words.wait_s})};
}

Result<Command> make_top(const Words& words) {
    auto device = optional_device(words);
    if (!device)
        return pass_on(device);
    auto interval = parse_interval(words.interval.empty() ? "1" : words.interval);
    if (!interval)
        return pass_on(interval);
    return TopCommand{.device = *device, .interval = *interval};
}

/// Any path will do, and what else means one of our devices.
Result<Command> make_bench(const Words& words) {
    BenchCommand command{.path = words.device, .json = words.json};
    auto time = parse_interval(words.interval.empty() ? "1" : words.interval);
    if (!time)
        return pass_on(time);
    command.time = *time;
    if (words.device.starts_with('/'))
        return command;
    auto device = parse_device(words.device);
    if (!device)
        return pass_on(device);
    command.path = fmt::format("/dev/vramswap{}", *device);
    return command;
}

Result<Command> make_command(const std::string& name, const Words& words) {
    if (name == "swap-on")
        return make_swap_on(words);
    if (name == "swap-off")
        return make_for_device<SwapOffCommand>(words);
    if (name == "start")
        return make_for_device<StartCommand>(words);
    if (name == "stop")
        return make_for_device<StopCommand>(words);
    if (name == "top")
        return make_top(words);
    if (name == "doctor")
        return DoctorCommand{.root = words.root, .json = words.json};
    if (name == "bench")
        return make_bench(words);
    if (name == "metrics")
        return MetricsCommand{.output = words.output};
    if (name == "status")
        return make_status(words);
    if (name == "stats")
        return make_stats(words);
    if (name == "events")
        return EventsCommand{.json = words.json};
    if (name == "add")
        return make_add(words);
    if (name == "delete")
        return make_delete(words);
    return make_set(words);
}

std::string chosen_subcommand(const CLI::App& app) {
    const auto chosen = app.get_subcommands();
    return chosen.empty() ? "" : chosen.front()->get_name();
}

/// The library's own words, as a sentence that says what to do.
std::string sentence_of(const CLI::ParseError& error, const CLI::App& app, std::string_view first) {
    const std::string command = chosen_subcommand(app);
    std::string text = error.what();
    if (command.empty())
        return fmt::format("{}say what to do: {}", first.empty() ? "" : fmt::format("\"{}\" is no command: ", first),
                           command_names(app));
    if (dynamic_cast<const CLI::ConversionError*>(&error) != nullptr)
        text = fmt::format("{} is no whole number within bounds", text.substr(text.find("--")));
    else if (text.starts_with("The "))
        text.front() = 't';
    return fmt::format("{}; see vramswapctl {} --help", text, command);
}

} // namespace

Result<std::variant<Notice, Command>> parse_command_line(int argc, const char* const* argv) {
    Words words;
    CLI::App app("Watches and changes vramswap block devices, whose bytes lie in a GPU's memory.", "vramswapctl");
    app.set_version_flag("--version", "vramswapctl " VRAMSWAP_VERSION);
    app.require_subcommand(1);
    app.footer(exit_footer);
    add_status(app, words);
    add_stats(app, words);
    add_events(app, words);
    add_top(app, words);
    add_doctor(app, words);
    add_bench(app, words);
    add_metrics(app, words);
    add_service(app, words);
    add_swap(app, words);
    add_add(app, words);
    add_delete(app, words);
    add_set(app, words);
    try {
        app.parse(argc, argv);
    } catch (const CLI::Success& success) {
        std::ostringstream text;
        app.exit(success, text, text);
        return Notice{text.str()};
    } catch (const CLI::ParseError& error) {
        const std::string_view first = argc > 1 ? argv[1] : "";
        return fail(EINVAL, "{}", sentence_of(error, app, first));
    }
    auto command = make_command(chosen_subcommand(app), words);
    if (!command)
        return pass_on(command);
    return std::move(*command);
}

} // namespace vramswap::ctl
