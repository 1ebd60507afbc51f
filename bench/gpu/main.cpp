// SPDX-License-Identifier: MIT
//
// gpu_bench: proves and measures the CUDA engine where no kernel module can be loaded. bench/gpu/run.sh builds and runs
// it. Exit status: 0 all right, 1 a check failed or something could not be measured, 2 bad usage.

#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <string>

#include <getopt.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <fmt/format.h>

#include <helper/cuda_device.hpp>
#include <helper/io_thread.hpp>
#include <helper/size.hpp>

#include "report.hpp"
#include "step.hpp"

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

bool write_file(const std::string& path, const std::string& text) {
    std::ofstream file(path);
    file << text;
    return static_cast<bool>(file.flush());
}

/// The bench, step by step, each in a process of its own. What there is of the report is written after each.
class Bench {
public:
    explicit Bench(const Options& options) : options_(options) {}

    void step(const std::string& what, const std::function<void(Report&)>& work) {
        const std::size_t findings = report_.findings.size();
        const std::size_t rows = report_.rows.size();
        const std::size_t troubles = report_.troubles.size();
        // Longer than anything should take: a GPU that fails leaves requests unanswered, which is right for swap, and
        // would be silence here.
        in_own_process(what, std::chrono::minutes(1) + 60 * options_.setting.time, work, report_);
        for (std::size_t i = findings; i < report_.findings.size(); ++i)
            fmt::print("{}: {}: {}\n", word(report_.findings[i].verdict), report_.findings[i].name,
                       report_.findings[i].text);
        if (report_.rows.size() != rows)
            fmt::print("{}: {} measured\n", what, report_.rows.size() - rows);
        for (std::size_t i = troubles; i < report_.troubles.size(); ++i)
            fmt::print("FAILED: {}\n", report_.troubles[i]);
        (void)std::fflush(stdout);
        write();
    }

    void check(const char* what, Finding (*look)(const Setting&), std::optional<CudaPath> path) {
        Setting one = options_.setting;
        one.path = path;
        step(fmt::format("{} ({})", what, path ? name_of(*path) : "auto"),
             [&](Report& report) { report.findings.push_back(look(one)); });
    }

    void loads(std::optional<CudaPath> path, bool host) {
        Setting one = options_.setting;
        one.path = path;
        step(fmt::format("loads ({})", host ? "host" : name_of(path.value_or(CudaPath::engine))),
             [&](Report& report) { add_loads(one, host, report); });
    }

    [[nodiscard]] const Report& report() const { return report_; }
    [[nodiscard]] bool written() const { return written_; }

private:
    static void add_loads(const Setting& setting, bool host, Report& report) {
        auto rows = measure_loads(setting, host);
        if (rows)
            report.rows = std::move(*rows);
        else if (rows.error().code == ENOTSUP)
            report.findings.push_back({.name = "loads", .verdict = Verdict::skipped, .text = rows.error().message});
        else
            report.troubles.push_back(rows.error().message);
    }

    void write() {
        written_ = write_file(options_.report + ".md", to_markdown(report_)) &&
                   write_file(options_.report + ".json", to_json(report_));
    }

    const Options& options_;
    Report report_;
    bool written_ = false;
};

void work(Bench& bench, const Setting& setting) {
    bench.step("hardware", [&](Report& report) { describe(setting, report); });
    bench.check("killed", check_killed, {});
    for (const CudaPath path : cuda_paths)
        bench.check("system calls", check_system_calls, path);
    bench.check("start", check_start, {});
    for (const CudaPath path : cuda_paths)
        bench.check("every byte", check_every_byte, path);
    bench.check("registration", check_registration, CudaPath::engine);
    bench.step("raw copies", [&](Report& report) {
        if (auto raw = measure_raw(setting))
            report.raw = std::move(*raw);
        else
            report.troubles.push_back(raw.error().message);
    });
    for (const CudaPath path : cuda_paths)
        bench.loads(path, false);
    bench.loads({}, true);
    bench.step("choice of a path", [&](Report& report) {
        if (auto choice = measure_choice(setting))
            report.choice = std::move(*choice);
        else
            report.troubles.push_back(choice.error().message);
    });
    bench.step("idling", [&](Report& report) {
        if (const auto idle = measure_idle(setting))
            report.idle = *idle;
        else
            report.troubles.push_back(idle.error().message);
    });
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
        Bench bench(options);
        work(bench, options.setting);
        fmt::print("\n{}", to_markdown(bench.report()));
        if (!bench.written()) {
            fmt::print(stderr, "gpu_bench: {}.md and .json could not be written\n", options.report);
            return 1;
        }
        return passed(bench.report()) ? 0 : 1;
    } catch (const std::exception& error) {
        (void)std::fprintf(stderr, "gpu_bench: %s\n", error.what());
        return 1;
    }
}
