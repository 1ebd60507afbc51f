// SPDX-License-Identifier: MIT
//
// gpu_bench: proves and measures the CUDA engine where no kernel module can be loaded. bench/gpu/run.sh builds and runs
// it. Exit status: 0 all right, 1 a check failed or something could not be measured, 2 bad usage.

#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>

#include <getopt.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <fmt/format.h>

#include <helper/cuda_device.hpp>
#include <helper/io_thread.hpp>
#include <helper/size.hpp>

#include "report.hpp"

namespace {

using namespace vramswap;
using namespace vramswap::bench;

constexpr const char* usage = "usage: gpu_bench [--library FILE] [--gpu GPU] [--size BYTES] [--milliseconds N] "
                              "[--queues N] [--report PATH-WITHOUT-SUFFIX]\n";

struct Options {
    Setting setting;
    std::string report = "gpu";
};

bool number(const char* text, unsigned& value) {
    const auto parsed = std::from_chars(text, text + std::strlen(text), value);
    return parsed.ec == std::errc() && *parsed.ptr == '\0' && value > 0;
}

bool parse(int argc, char** argv, Options& options) {
    static constexpr std::array<option, 7> known{{{"library", required_argument, nullptr, 'l'},
                                                  {"gpu", required_argument, nullptr, 'g'},
                                                  {"size", required_argument, nullptr, 's'},
                                                  {"milliseconds", required_argument, nullptr, 'm'},
                                                  {"queues", required_argument, nullptr, 'q'},
                                                  {"report", required_argument, nullptr, 'r'},
                                                  {}}};
    bool right = true;
    for (int one = 0; right && (one = ::getopt_long(argc, argv, "", known.data(), nullptr)) >= 0;) {
        unsigned value = 0;
        switch (one) {
        case 'l':
            options.setting.libcuda = optarg;
            break;
        case 'g':
            options.setting.gpu = optarg;
            break;
        case 's':
            if (const auto size = parse_size(optarg); size && *size >= 128ULL << 20)
                options.setting.capacity = *size / VRAMSWAP_BLOCK_SIZE * VRAMSWAP_BLOCK_SIZE;
            else
                right = false;
            break;
        case 'm':
            right = number(optarg, value);
            options.setting.time = std::chrono::milliseconds(value);
            break;
        case 'q':
            right = number(optarg, options.setting.queues) && options.setting.queues <= 8;
            break;
        case 'r':
            options.report = optarg;
            break;
        default:
            right = false;
        }
    }
    return right && optind == argc;
}

std::string first_line(const std::string& path) {
    std::string line;
    std::ifstream file(path);
    std::getline(file, line);
    return line.empty() ? "unknown" : line;
}

/// What it is that is measured.
void describe(const Setting& setting, Report& report) {
    utsname system{};
    ::uname(&system);
    std::ifstream cpus("/proc/cpuinfo");
    std::string cpu = "unknown";
    for (std::string line; std::getline(cpus, line);)
        if (line.starts_with("model name")) {
            cpu = line.substr(line.find(':') + 2);
            break;
        }
    report.hardware = {{"kernel", system.release}, {"processor", cpu}};
    const auto api = CudaApi::load(setting.libcuda);
    if (!api)
        return report.troubles.push_back(api.error().message);
    const auto gpu = cuda_device_find(*api, setting.gpu);
    if (!gpu)
        return report.troubles.push_back(gpu.error().message);
    report.fake = gpu->name.contains("FAKE");
    const std::string pci = "/sys/bus/pci/devices/" + gpu->pci;
    report.hardware.emplace_back("GPU", gpu->text());
    report.hardware.emplace_back("CUDA API of the driver",
                                 fmt::format("{}.{}", api->version() / 1000, api->version() % 1000 / 10));
    report.hardware.emplace_back("driver", first_line("/proc/driver/nvidia/version"));
    report.hardware.emplace_back("PCIe", fmt::format("{}, {} lanes", first_line(pci + "/current_link_speed"),
                                                     first_line(pci + "/current_link_width")));
}

void note(const Finding& finding) {
    fmt::print("{}: {}: {}\n", word(finding.verdict), finding.name, finding.text);
    (void)std::fflush(stdout);
}

/// Ends the bench if something takes longer than anything should: a GPU that fails leaves requests unanswered, which is
/// right for swap, and would be silence here.
class Watchdog {
public:
    Watchdog(std::string what, const Setting& setting)
        : what_(std::move(what)), limit_(std::chrono::minutes(3) + 100 * setting.time) {}

private:
    void watch(const std::stop_token& stop) {
        std::mutex lock;
        std::unique_lock guard(lock);
        if (std::condition_variable_any().wait_for(guard, stop, limit_, [] { return false; }) || stop.stop_requested())
            return;
        fmt::print(stderr, "gpu_bench: nothing came of it in {} s: {}\n",
                   std::chrono::duration_cast<std::chrono::seconds>(limit_).count(), what_);
        std::_Exit(EXIT_FAILURE);
    }

    std::string what_;
    std::chrono::milliseconds limit_;
    std::jthread thread_{[this](const std::stop_token& stop) { watch(stop); }};
};

void add_loads(const Setting& setting, bool host, Report& report) {
    const Watchdog watchdog("the loads", setting);
    auto rows = measure_loads(setting, host);
    if (rows)
        report.rows.insert(report.rows.end(), rows->begin(), rows->end());
    else if (rows.error().code == ENOTSUP)
        report.findings.push_back({.name = "loads", .verdict = Verdict::skipped, .text = rows.error().message});
    else
        report.troubles.push_back(rows.error().message);
}

Report work(const Setting& setting) {
    Report report;
    // Those that fork come first: a process in which CUDA runs must not.
    const auto look = [&](Finding (*check)(const Setting&), std::optional<CudaPath> path) {
        Setting one = setting;
        one.path = path;
        // Some fork, so it is no thread that watches them.
        ::alarm(180 + static_cast<unsigned>(setting.time / std::chrono::milliseconds(50)));
        report.findings.push_back(check(one));
        ::alarm(0);
        note(report.findings.back());
    };
    look(check_killed, {});
    for (const CudaPath path : cuda_paths)
        look(check_system_calls, path);
    look(check_start, {});
    for (const CudaPath path : cuda_paths)
        look(check_every_byte, path);
    look(check_registration, CudaPath::engine);
    describe(setting, report);
    {
        const Watchdog watchdog("raw copies", setting);
        if (auto raw = measure_raw(setting))
            report.raw = std::move(*raw);
        else
            report.troubles.push_back(raw.error().message);
    }
    for (const CudaPath path : cuda_paths) {
        Setting one = setting;
        one.path = path;
        add_loads(one, false, report);
    }
    add_loads(setting, true, report);
    const Watchdog watchdog("the choice of a path, or idling", setting);
    if (auto choice = measure_choice(setting))
        report.choice = std::move(*choice);
    else
        report.troubles.push_back(choice.error().message);
    if (const auto idle = measure_idle(setting))
        report.idle = *idle;
    else
        report.troubles.push_back(idle.error().message);
    return report;
}

bool write_file(const std::string& path, const std::string& text) {
    std::ofstream file(path);
    file << text;
    return static_cast<bool>(file.flush());
}

} // namespace

int main(int argc, char** argv) {
    try {
        Options options;
        if (!parse(argc, argv, options)) {
            fmt::print(stderr, "{}", usage);
            return 2;
        }
        if (const auto ready = IoThread::accept_kicks(); !ready) {
            fmt::print(stderr, "gpu_bench: {}\n", ready.error().message);
            return 1;
        }
        const Report report = work(options.setting);
        const std::string text = to_markdown(report);
        fmt::print("\n{}", text);
        if (!write_file(options.report + ".md", text) || !write_file(options.report + ".json", to_json(report))) {
            fmt::print(stderr, "gpu_bench: {}.md and .json could not be written\n", options.report);
            return 1;
        }
        return passed(report) ? 0 : 1;
    } catch (const std::exception& error) {
        (void)std::fprintf(stderr, "gpu_bench: %s\n", error.what());
        return 1;
    }
}
