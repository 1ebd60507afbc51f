// SPDX-License-Identifier: MIT
#include "catch.hpp"

#include "command_line.hpp"

#include <sstream>
#include <string>
#include <vector>

using namespace vramswap;
using namespace vramswap::ctl;

namespace {

auto parse(std::vector<const char*> words) {
    words.insert(words.begin(), "vramswapctl");
    return parse_command_line(static_cast<int>(words.size()), words.data());
}

/// The command that `words` mean, if they mean one of this kind.
template<class Kind>
std::optional<Kind> parse_as(std::vector<const char*> words) {
    const auto parsed = parse(std::move(words));
    if (!parsed || !std::holds_alternative<Command>(*parsed))
        return std::nullopt;
    const auto* command = std::get_if<Kind>(&std::get<Command>(*parsed));
    return command == nullptr ? std::nullopt : std::optional(*command);
}

std::string refusal(std::vector<const char*> words) {
    const auto parsed = parse(std::move(words));
    return parsed ? "accepted" : parsed.error().message;
}

bool mentions(const std::string& text, const char* part) {
    return text.find(part) != std::string::npos;
}

} // namespace

TEST_CASE("status shows all devices in the usual columns") {
    const auto status = parse_as<StatusCommand>({"status"});
    REQUIRE(status);
    REQUIRE(!status->device);
    REQUIRE(!status->json);
    REQUIRE(status->style.headings);
    REQUIRE(!status->style.exact);
    REQUIRE(status->style.columns.size() == 12);
    REQUIRE(status->style.columns.front().name == "NAME");
    REQUIRE(status->style.columns.back().name == "GPU");
}

TEST_CASE("status takes a device and a style") {
    const auto status = parse_as<StatusCommand>({"status", "-n", "-b", "-o", "state,size", "/dev/vramswap2", "--json"});
    REQUIRE(status);
    REQUIRE(status->device == 2U);
    REQUIRE(status->json);
    REQUIRE(!status->style.headings);
    REQUIRE(status->style.exact);
    REQUIRE(status->style.columns.size() == 2);
    REQUIRE(status->style.columns[0].name == "STATE");
}

TEST_CASE("stats shows the queue column with --queues") {
    const auto plain = parse_as<StatsCommand>({"stats", "0"});
    REQUIRE(plain);
    REQUIRE(plain->style.columns.front().name == "OPERATION");
    REQUIRE(!plain->interval);
    const auto queues = parse_as<StatsCommand>({"stats", "--queues"});
    REQUIRE(queues);
    REQUIRE(queues->each_queue);
    REQUIRE(queues->style.columns.front().name == "QUEUE");
}

TEST_CASE("stats repeats at an interval") {
    const auto stats = parse_as<StatsCommand>({"stats", "--interval", "0.5", "--count", "3"});
    REQUIRE(stats);
    REQUIRE(stats->interval == std::chrono::milliseconds(500));
    REQUIRE(stats->count == 3);
    REQUIRE(mentions(refusal({"stats", "--count", "3"}), "--interval"));
    REQUIRE(mentions(refusal({"stats", "--interval", "0"}), "0.1 to 86400"));
}

TEST_CASE("add leaves to the kernel what is not given") {
    const auto plain = parse_as<AddCommand>({"add"});
    REQUIRE(plain);
    REQUIRE(!plain->options.index);
    REQUIRE(!plain->options.slot_size);
    const auto full =
        parse_as<AddCommand>({"add", "--index", "3", "--queues", "2", "--slots", "64", "--slot-size", "128K"});
    REQUIRE(full);
    REQUIRE(full->options.index == 3U);
    REQUIRE(full->options.queues == 2U);
    REQUIRE(full->options.slots == 64U);
    REQUIRE(full->options.slot_size == 131072U);
}

TEST_CASE("delete and set name their device") {
    const auto remove = parse_as<DeleteCommand>({"delete", "vramswap1"});
    REQUIRE(remove);
    REQUIRE(remove->device == 1);
    const auto set = parse_as<SetCommand>({"set", "1", "--hold-timeout", "0", "--io-timeout", "2.5"});
    REQUIRE(set);
    REQUIRE(set->device == 1);
    REQUIRE(set->options.hold_timeout_ms == 0U);
    REQUIRE(set->options.io_timeout_ms == 2500U);
}

TEST_CASE("swap-on and swap-off name their device") {
    const auto on = parse_as<SwapOnCommand>({"swap-on", "2"});
    REQUIRE(on);
    REQUIRE(on->device == 2);
    REQUIRE(!on->priority);
    REQUIRE(on->wait == std::chrono::seconds(30));
    const auto other = parse_as<SwapOnCommand>({"swap-on", "vramswap1", "--priority", "7", "--wait", "1"});
    REQUIRE(other);
    REQUIRE(other->priority == 7U);
    REQUIRE(other->wait == std::chrono::seconds(1));
    REQUIRE(parse_as<SwapOffCommand>({"swap-off", "/dev/vramswap3"})->device == 3);
}

TEST_CASE("start and stop mean the first device unless told otherwise") {
    REQUIRE(parse_as<StartCommand>({"start"})->device == 0);
    REQUIRE(parse_as<StartCommand>({"start", "1"})->device == 1);
    REQUIRE(parse_as<StopCommand>({"stop"})->device == 0);
    REQUIRE(parse_as<StopCommand>({"stop", "vramswap2"})->device == 2);
}

TEST_CASE("what looks and measures takes its options") {
    REQUIRE(!parse_as<TopCommand>({"top"})->device);
    REQUIRE(parse_as<TopCommand>({"top", "0", "-i", "0.5"})->interval == std::chrono::milliseconds(500));
    REQUIRE(parse_as<DoctorCommand>({"doctor", "--root", "/mnt", "--json"})->root == "/mnt");
    REQUIRE(parse_as<BenchCommand>({"bench", "0"})->path == "/dev/vramswap0");
    REQUIRE(parse_as<BenchCommand>({"bench", "/dev/sda"})->path == "/dev/sda");
    REQUIRE(parse_as<BenchCommand>({"bench", "0", "--time", "0.2"})->time == std::chrono::milliseconds(200));
    REQUIRE(parse_as<MetricsCommand>({"metrics"})->output.empty());
    REQUIRE(parse_as<MetricsCommand>({"metrics", "--output", "/x.prom"})->output == "/x.prom");
}

TEST_CASE("help and version are notices") {
    for (const char* option : {"--help", "-h", "--version"}) {
        const auto parsed = parse({option});
        REQUIRE(parsed);
        REQUIRE(std::holds_alternative<Notice>(*parsed));
        REQUIRE(mentions(std::get<Notice>(*parsed).text, "vramswapctl"));
    }
    const auto stats = parse({"stats", "--help"});
    REQUIRE(stats);
    REQUIRE(mentions(std::get<Notice>(*stats).text, "powers of two"));
    const auto set = parse({"set", "--help"});
    REQUIRE(set);
    REQUIRE(mentions(std::get<Notice>(*set).text, "SIGBUS"));
}

TEST_CASE("help fits into 80 columns") {
    for (const std::vector<const char*>& words : std::vector<std::vector<const char*>>{{"--help"},
                                                                                       {"status", "--help"},
                                                                                       {"stats", "--help"},
                                                                                       {"events", "--help"},
                                                                                       {"top", "--help"},
                                                                                       {"doctor", "--help"},
                                                                                       {"bench", "--help"},
                                                                                       {"metrics", "--help"},
                                                                                       {"start", "--help"},
                                                                                       {"stop", "--help"},
                                                                                       {"swap-on", "--help"},
                                                                                       {"swap-off", "--help"},
                                                                                       {"add", "--help"},
                                                                                       {"delete", "--help"},
                                                                                       {"set", "--help"}}) {
        const auto parsed = parse(words);
        REQUIRE(parsed);
        std::istringstream text(std::get<Notice>(*parsed).text);
        for (std::string line; std::getline(text, line);) {
            INFO(line);
            REQUIRE(line.size() <= 80);
        }
    }
}

TEST_CASE("a wrong command line is answered with what to do") {
    struct Case {
        std::vector<const char*> words;
        const char* part;
    };
    const std::vector<Case> cases{
        {{}, "say what to do: status, stats"},
        {{"list"}, "\"list\" is no command"},
        {{"status", "zram0"}, "write 0, vramswap0 or /dev/vramswap0"},
        {{"status", "0", "1"}, "vramswapctl status --help"},
        {{"status", "-o", "FOO"}, "choose from NAME"},
        {{"events", "0"}, "vramswapctl events --help"},
        {{"add", "--queues", "many"}, "--queues = many is no whole number"},
        {{"add", "--queues", "-1"}, "is no whole number"},
        {{"add", "--queues"}, "--queues"},
        {{"add", "--slot-size", "1X"}, "131072 or 128K"},
        {{"delete"}, "DEVICE is required"},
        {{"set", "0"}, "--hold-timeout or --io-timeout"},
        {{"set", "0", "--hold-timeout", "soon"}, "write seconds"},
        {{"set", "0", "--hold-timeout="}, "--hold-timeout"},
        {{"swap-on"}, "DEVICE is required"},
        {{"swap-on", "0", "--priority", "32768"}, "--priority"},
        {{"swap-off"}, "DEVICE is required"},
        {{"swap-off", "/dev/sda"}, "write 0, vramswap0"},
        {{"start", "zram0"}, "write 0, vramswap0"},
        {{"top", "--interval", "0"}, "0.1 to 86400"},
        {{"bench"}, "DEVICE is required"},
        {{"bench", "sda"}, "write 0, vramswap0"},
        {{"metrics", "0"}, "vramswapctl metrics --help"},
    };
    for (const Case& one : cases)
        REQUIRE(mentions(refusal(one.words), one.part));
}
