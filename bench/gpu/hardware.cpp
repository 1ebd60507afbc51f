// SPDX-License-Identifier: MIT
#include "hardware.hpp"

#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <sys/utsname.h>

#include <fmt/format.h>

namespace vramswap::bench {
namespace {

std::string first_line(const std::string& path) {
    std::string line;
    std::ifstream file(path);
    std::getline(file, line);
    return line.empty() ? "unknown" : line;
}

bool is_fake(const CudaGpu& gpu) {
    return gpu.name.contains("FAKE");
}

/// `folder`: of a PCI device. `which`: "current" or "max".
std::string link_text(const std::string& folder, const char* which) {
    return fmt::format("{}, {} lanes", first_line(fmt::format("{}/{}_link_speed", folder, which)),
                       first_line(fmt::format("{}/{}_link_width", folder, which)));
}

std::string folder_of(const CudaGpu& gpu) {
    return is_fake(gpu) ? "/nowhere" : "/sys/bus/pci/devices/" + gpu.pci; // the fake's address may be another device's
}

/// What is in a folder; a process that has just ended has nothing.
std::vector<std::filesystem::path> inside(const std::filesystem::path& folder) {
    std::vector<std::filesystem::path> all;
    std::error_code error;
    for (std::filesystem::directory_iterator one(folder, error), end; !error && one != end; one.increment(error))
        all.push_back(one->path());
    return all;
}

/// Programs, as far as they can be seen here, that have a GPU open; only then does it stay up without our help.
std::string openers() {
    std::set<std::string> names;
    std::error_code none;
    constexpr std::string_view node = "/dev/nvidia";
    for (const auto& process : inside("/proc"))
        for (const auto& fd : inside(process / "fd")) {
            const std::string file = std::filesystem::read_symlink(fd, none).string();
            if (file.starts_with(node) && file.find_first_of("0123456789") == node.size())
                names.insert(first_line(process / "comm"));
        }
    std::string text;
    for (const std::string& name : names)
        text += (text.empty() ? "" : ", ") + name;
    return text.empty() ? "none that can be seen here" : text;
}

} // namespace

std::string pcie_link(const CudaGpu& gpu) {
    return link_text(folder_of(gpu), "current");
}

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
    report.hardware = {{"kernel", system.release},
                       {"processor", fmt::format("{}, {} threads", cpu, std::thread::hardware_concurrency())}};
    const std::string others = openers();
    const auto api = CudaApi::load(setting.libcuda);
    if (!api)
        return report.troubles.push_back(api.error().message);
    const auto gpu = cuda_device_find(*api, setting.gpu);
    if (!gpu)
        return report.troubles.push_back(gpu.error().message);
    report.fake = is_fake(*gpu);
    report.hardware.emplace_back("GPU", gpu->text());
    report.hardware.emplace_back("CUDA API of the driver",
                                 fmt::format("{}.{}", api->version() / 1000, api->version() % 1000 / 10));
    report.hardware.emplace_back("driver", first_line("/proc/driver/nvidia/version"));
    report.hardware.emplace_back("other programs that have a GPU open", others);
    report.hardware.emplace_back("PCIe, the most that the GPU can", link_text(folder_of(*gpu), "max"));
    report.hardware.emplace_back("PCIe, the most that its port can", link_text(folder_of(*gpu) + "/..", "max"));
    report.hardware.emplace_back("PCIe now, before any copy", pcie_link(*gpu));
}

} // namespace vramswap::bench
