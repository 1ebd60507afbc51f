// SPDX-License-Identifier: MIT
#include "checks.hpp"
#include "conf.hpp"
#include "parse.hpp"
#include "patient.hpp"
#include "terminal.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace vramswap::ctl {
namespace {

std::vector<SwapArea> swaps_of(const Patient& patient) {
    return parse_swaps(read_text(patient.root + "/proc/swaps"));
}

bool is_ours(const SwapArea& area) {
    return area.path.starts_with("/dev/vramswap");
}

bool is_zram(const SwapArea& area) {
    return area.path.starts_with("/dev/zram");
}

Finding sysctl(std::string_view check, const std::string& name, long value, std::string why, long better) {
    return {check, Health::warning, fmt::format("{} is {}: {}", name, value, why),
            fmt::format("sysctl {}={}; in a file in /etc/sysctl.d to stay", name, better)};
}

/// systemd-oomd's limit of swap in use, percent, as its files have it; its default is 90.
unsigned oomd_limit(const Patient& patient) {
    std::vector<std::string> files;
    if (has(patient, "/etc/systemd/oomd.conf"))
        files.push_back(patient.root + "/etc/systemd/oomd.conf");
    for (const char* const folder : {"/usr/lib", "/run", "/etc"})
        for (const auto& file : entries_of(patient, fmt::format("{}/systemd/oomd.conf.d", folder)))
            files.push_back(file.string());
    unsigned limit = 90;
    for (const std::string& file : files)
        for (const ConfSection& section : conf_parse(read_text(file), file).value_or(std::vector<ConfSection>()))
            for (const ConfEntry& entry : section.entries)
                if (entry.key == "SwapUsedLimit")
                    static_cast<void>(
                        std::from_chars(entry.value.data(), entry.value.data() + entry.value.size(), limit));
    return limit;
}

} // namespace

std::optional<Finding> check_swapped_on(const Patient& patient) {
    if (!patient.devices)
        return std::nullopt;
    const auto areas = swaps_of(patient);
    std::size_t on = 0;
    for (const DeviceInfo& device : *patient.devices) {
        if (find_swap(areas, device.index))
            ++on;
        else if (device.state == VRAMSWAP_STATE_LIVE)
            return Finding{"swap", Health::warning, fmt::format("{} is live, but not swapped on", device.name),
                           fmt::format("vramswapctl swap-on {}", device.index)};
    }
    if (on == 0)
        return std::nullopt;
    return Finding{"swap", Health::ok, fmt::format("{} swapped on", on), ""};
}

std::optional<Finding> check_tiers(const Patient& patient) {
    const auto areas = swaps_of(patient);
    const auto ours = std::ranges::find_if(areas, is_ours);
    if (ours == areas.end())
        return std::nullopt;
    bool below = false;
    for (const SwapArea& area : areas) {
        if (is_zram(area) && area.priority == ours->priority)
            return Finding{"tiers", Health::warning,
                           fmt::format("{} has the priority of {} ({}): Linux fills both in turns", area.path,
                                       ours->path, ours->priority),
                           "set a swap-priority in /etc/vramswap.conf that is lower than zram's"};
        if (is_ours(area) || is_zram(area)) // zram in front is quicker, and as good a first tier
            continue;
        if (area.priority >= ours->priority)
            return Finding{"tiers", Health::warning,
                           fmt::format("{} (priority {}) does not lie below {} ({})", area.path, area.priority,
                                       ours->path, ours->priority),
                           "raise swap-priority in /etc/vramswap.conf, or lower the other's"};
        below = true;
    }
    if (!below)
        return Finding{"tiers", Health::warning,
                       fmt::format("there is no other swap below {}: when it is full, or is to be stopped, pages have "
                                   "nowhere to go but RAM",
                                   ours->path),
                       "add a swap file or partition of lower priority"};
    return Finding{"tiers", Health::ok, fmt::format("other swap lies below {}", ours->path), ""};
}

std::optional<Finding> check_swappiness(const Patient& patient) {
    constexpr long least = 60; // Linux's own default
    const auto value = number_in(patient, "/proc/sys/vm/swappiness");
    if (!value)
        return std::nullopt;
    if (*value < least)
        return sysctl("swappiness", "vm.swappiness", *value, "Linux would rather drop file cache than use this swap",
                      100);
    return Finding{"swappiness", Health::ok, fmt::format("vm.swappiness is {}", *value), ""};
}

std::optional<Finding> check_page_cluster(const Patient& patient) {
    const auto value = number_in(patient, "/proc/sys/vm/page-cluster");
    if (!value)
        return std::nullopt;
    if (*value > 0)
        return sysctl(
            "page-cluster", "vm.page-cluster", *value,
            fmt::format("a fault reads up to {} pages, which is meant for disks", 1L << std::min(*value, 10L)), 0);
    return Finding{"page-cluster", Health::ok, "vm.page-cluster is 0", ""};
}

std::optional<Finding> check_zswap(const Patient& patient) {
    const std::string enabled = text_of(patient, "/sys/module/zswap/parameters/enabled");
    if (enabled.empty())
        return std::nullopt;
    if (enabled == "Y" || enabled == "1")
        return Finding{"zswap", Health::warning,
                       "zswap is on: pages are compressed into RAM first, and reach VRAM late",
                       "echo N >/sys/module/zswap/parameters/enabled; to stay: zswap.enabled=0 on the kernel's command "
                       "line"};
    return Finding{"zswap", Health::ok, "zswap is off", ""};
}

std::optional<Finding> check_oomd(const Patient& patient) {
    constexpr unsigned least = 80;
    if (!has(patient, "/sys/fs/cgroup/system.slice/systemd-oomd.service"))
        return Finding{"oomd", Health::ok, "systemd-oomd does not run", ""};
    const unsigned limit = oomd_limit(patient);
    if (limit < least)
        return Finding{"oomd", Health::warning,
                       fmt::format("systemd-oomd kills when {}% of swap are in use, VRAM included", limit),
                       "SwapUsedLimit=90% in /etc/systemd/oomd.conf, then: systemctl restart systemd-oomd"};
    return Finding{"oomd", Health::ok, fmt::format("systemd-oomd lets {}% of swap be used", limit), ""};
}

std::optional<Finding> check_hibernation(const Patient& patient) {
    const std::string modes = text_of(patient, "/sys/power/disk");
    const std::string resume = text_of(patient, "/sys/power/resume");
    const std::string line = " " + text_of(patient, "/proc/cmdline") + " ";
    if (line.find(" resume=/dev/vramswap") != std::string::npos)
        return Finding{"hibernation", Health::error, "the kernel is to resume from VRAM, which does not survive sleep",
                       "take resume= off the kernel's command line, or name a disk"};
    const bool asked = line.find(" resume=") != std::string::npos && line.find(" noresume ") == std::string::npos;
    if (modes.empty() || modes.find("[disabled]") != std::string::npos ||
        (!asked && (resume.empty() || resume == "0:0")))
        return Finding{"hibernation", Health::ok, "none is configured", ""};
    if (std::ranges::any_of(entries_of(patient, "/etc/systemd/system/sleep.target.requires"),
                            [](const auto& link) { return link.filename() == "vramswap-sleep.service"; }))
        return Finding{"hibernation", Health::ok, "it is configured, and vramswap-sleep stops all devices before it",
                       ""};
    return Finding{"hibernation", Health::warning,
                   "hibernation is configured; it and sleep are refused while a live device holds anything",
                   "systemctl enable vramswap-sleep; or vramswapctl stop 0 before it, and start 0 after it"};
}

} // namespace vramswap::ctl
