// SPDX-License-Identifier: MIT
#include "checks.hpp"
#include "format.hpp"
#include "patient.hpp"
#include "settings.hpp"
#include "terminal.hpp"
#include "words.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <sstream>

namespace vramswap::ctl {
namespace {

bool loaded(const Patient& patient) {
    return has(patient, "/sys/module/vramswap");
}

/// The module's file for the kernel that runs, by depmod's list; empty if there is none.
std::string module_file(const Patient& patient) {
    const std::string folder = "/lib/modules/" + release_of(patient) + "/";
    std::istringstream lines(text_of(patient, folder + "modules.dep"));
    for (std::string line; std::getline(lines, line);) {
        const std::string name = line.substr(0, line.find(':'));
        if (name.find("/vramswap.ko") != std::string::npos)
            return folder + name;
    }
    return {};
}

/// Does the kernel refuse modules without a signature that it trusts?
bool wants_signatures(const Patient& patient) {
    // Four bytes of attributes come before the variable's one byte (the kernel's efivarfs).
    const std::string secure_boot =
        read_text(patient.root + "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c");
    const std::string lockdown = text_of(patient, "/sys/kernel/security/lockdown");
    return (secure_boot.size() == 5 && secure_boot.back() == 1) ||
           (!lockdown.empty() && lockdown.find("[none]") == std::string::npos) ||
           text_of(patient, "/sys/module/module/parameters/sig_enforce") == "Y";
}

/// Is the module's file signed? modinfo looks into compressed ones too. Nothing if it cannot be told.
std::optional<bool> is_signed(const Patient& patient, const std::string& file) {
    constexpr std::string_view mark = "~Module signature appended~"; // a line of its own at a signed module's end
    if (patient.signature)
        return patient.signature->find_first_not_of(" \n") != std::string::npos;
    if (!file.ends_with(".ko"))
        return std::nullopt;
    return text_of(patient, file).ends_with(mark);
}

/// Is a GPU meant to store the bytes of this device?
bool wants_gpu(const Patient& patient, unsigned device) {
    auto config = settings_read(device, patient.root);
    return !config || !settings_complete(*config) || config->engine != EngineChoice::host;
}

/// Of any device?
bool wants_gpu(const Patient& patient) {
    const auto devices = settings_devices(patient.root);
    return !devices || devices->empty() ||
           std::ranges::any_of(*devices, [&](unsigned device) { return wants_gpu(patient, device); });
}

/// NVIDIA's display controllers on the PCI bus.
std::size_t nvidia_gpus(const Patient& patient) {
    return static_cast<std::size_t>(
        std::ranges::count_if(entries_of(patient, "/sys/bus/pci/devices"), [](const auto& device) {
            return read_text(device / "vendor").starts_with("0x10de") &&
                   read_text(device / "class").starts_with("0x03");
        }));
}

bool has_libcuda(const Patient& patient) {
    constexpr std::array folders{
        "/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib",
        "/lib/x86_64-linux-gnu",     "/lib/aarch64-linux-gnu",     "/lib64",     "/usr/local/lib",
        "/usr/local/nvidia/lib64",   "/run/opengl-driver/lib"};
    return std::ranges::any_of(folders,
                               [&](const char* folder) { return has(patient, std::string(folder) + "/libcuda.so.1"); });
}

/// A device without a helper that has not ended in good order.
std::optional<Finding> find_lost(const DeviceInfo& device) {
    if (device.state == VRAMSWAP_STATE_HELD)
        return Finding{"devices", Health::error,
                       fmt::format("the helper of {} is lost: {}; I/O waits", device.name, reason_words(device.reason)),
                       fmt::format("vramswapctl start {0}; journalctl -u vramswap@{0} tells more", device.index)};
    if (device.state == VRAMSWAP_STATE_FAILED)
        return Finding{"devices", Health::error,
                       fmt::format("{} has lost its contents: {}", device.name, reason_words(device.reason)),
                       fmt::format("swapoff /dev/{}; vramswapctl start {}", device.name, device.index)};
    return std::nullopt;
}

/// A device that is configured, but not there or not live.
std::optional<Finding> find_absent(const Patient& patient) {
    const auto configured = settings_devices(patient.root).value_or(std::vector<unsigned>());
    const auto absent = std::ranges::find_if(configured, [&patient](unsigned index) {
        return std::ranges::none_of(*patient.devices, [index](const DeviceInfo& device) {
            return device.index == index && device.state == VRAMSWAP_STATE_LIVE;
        });
    });
    if (absent == configured.end())
        return std::nullopt;
    return Finding{"devices", Health::warning,
                   fmt::format("[vramswap{0}] is configured, but vramswap{0} is not live", *absent),
                   fmt::format("systemctl enable --now vramswap@{0}; journalctl -u vramswap@{0} tells more", *absent)};
}

/// A device that waits for a successor no longer than for an answer. 0 is a word: it is held for nobody.
std::optional<Finding> find_hasty(const DeviceInfo& device) {
    if (device.hold_timeout_ms == 0 || device.hold_timeout_ms > device.io_timeout_ms)
        return std::nullopt;
    return Finding{"devices", Health::warning,
                   fmt::format("{} gives up what two helpers in turn leave unanswered for {}: it holds for {} only",
                               device.name, format_seconds(device.io_timeout_ms),
                               format_seconds(device.hold_timeout_ms)),
                   fmt::format("vramswapctl set {} --hold-timeout {}, and hold-timeout in /etc/vramswap.conf",
                               device.index, 4 * device.io_timeout_ms / 1000)};
}

/// A device that stores in RAM what a GPU is there for.
std::optional<Finding> find_in_ram(const Patient& patient, const DeviceInfo& device) {
    if (device.state != VRAMSWAP_STATE_LIVE || engine_word(device.label) != "host" || nvidia_gpus(patient) == 0 ||
        !wants_gpu(patient, device.index))
        return std::nullopt;
    return Finding{"devices", Health::warning,
                   fmt::format("{} is configured to be a GPU's memory, but takes RAM, which saves none", device.name),
                   fmt::format("journalctl -u vramswap@{0} tells why; then vramswapctl stop {0} and start {0}. Or say "
                               "that it is meant: engine = host in /etc/vramswap.conf",
                               device.index)};
}

} // namespace

std::optional<Finding> check_kernel(const Patient& patient) {
    const std::string release = release_of(patient);
    unsigned major = 0;
    unsigned minor = 0;
    char point = 0;
    if (!(std::istringstream(release) >> major >> point >> minor))
        return std::nullopt;
    if (major < 6 || (major == 6 && minor < 1))
        return Finding{"kernel", Health::error, fmt::format("Linux {} is too old", release),
                       "install Linux 6.1 or newer"};
    return Finding{"kernel", Health::ok, fmt::format("Linux {}", release), ""};
}

std::optional<Finding> check_module(const Patient& patient) {
    if (loaded(patient))
        return Finding{"module", Health::ok, "vramswap is loaded", ""};
    const std::string release = release_of(patient);
    if (module_file(patient).empty())
        return Finding{"module", Health::error, fmt::format("there is no module vramswap for Linux {}", release),
                       fmt::format("install the kernel's headers, then: dkms autoinstall -k {}", release)};
    return Finding{"module", Health::error, "vramswap is not loaded", "modprobe vramswap"};
}

std::optional<Finding> check_signature(const Patient& patient) {
    const std::string enrol = "mokutil --import /var/lib/dkms/mok.pub (Ubuntu: /var/lib/shim-signed/mok/MOK.der), then "
                              "reboot, and enrol the key when asked";
    if (!wants_signatures(patient))
        return Finding{"signature", Health::ok, "modules need none: Secure Boot is off", ""};
    if (loaded(patient))
        return Finding{"signature", Health::ok, "the kernel took the module under Secure Boot", ""};
    const std::string file = module_file(patient);
    if (file.empty())
        return std::nullopt;
    const auto signed_file = is_signed(patient, file);
    if (!signed_file)
        return Finding{"signature", Health::warning,
                       "Secure Boot is on, and whether the module is signed cannot be told: it is compressed",
                       "modprobe vramswap; if it says that a key was rejected: " + enrol};
    if (*signed_file)
        return Finding{"signature", Health::warning, "Secure Boot is on; the module is signed, but not loaded yet",
                       "modprobe vramswap; if it says that a key was rejected: " + enrol};
    return Finding{
        "signature", Health::error, "Secure Boot is on, and the module is not signed",
        fmt::format("have DKMS, which needs openssl for it, build it anew: dkms build --force -m vramswap -v {0} "
                    "-k {1} && dkms install --force -m vramswap -v {0} -k {1}; ",
                    VRAMSWAP_VERSION, release_of(patient)) +
            enrol};
}

std::optional<Finding> check_configuration(const Patient& patient) {
    const auto devices = settings_devices(patient.root);
    if (!devices)
        return Finding{"configuration", Health::error, devices.error().message, "correct the file"};
    if (devices->empty())
        return Finding{"configuration", Health::ok, "no device is configured: the defaults count", ""};
    for (const unsigned device : *devices) {
        auto config = settings_read(device, patient.root);
        if (!config)
            return Finding{"configuration", Health::error, config.error().message, "correct the file"};
        if (const auto complete = settings_complete(*config); !complete)
            return Finding{"configuration", Health::error,
                           fmt::format("[vramswap{}]: {}", device, complete.error().message), "correct the file"};
        if (config->engine == EngineChoice::host && !config->size)
            return Finding{"configuration", Health::error,
                           fmt::format("[vramswap{}]: host memory has no size of its own", device),
                           "say how much: size = 1G, for instance"};
        const MemorySizes no_gpu{.ram = 1ULL << 40};
        const auto bytes = config->size ? config->size->bytes(no_gpu) : Result<std::uint64_t>(0);
        if (config->engine == EngineChoice::host && !bytes && bytes.error().code == ENODEV)
            return Finding{"configuration", Health::error,
                           fmt::format("[vramswap{}]: size = {} speaks of a GPU's memory, but the engine is host",
                                       device, config->size->text()),
                           "say how much: size = 1G, or a part of ram"};
    }
    return Finding{"configuration", Health::ok,
                   fmt::format("{} device{} configured", devices->size(), devices->size() == 1 ? " is" : "s are"), ""};
}

std::optional<Finding> check_gpu(const Patient& patient) {
    const std::size_t count = nvidia_gpus(patient);
    if (count != 0)
        return Finding{"gpu", Health::ok,
                       fmt::format("{} NVIDIA GPU{} on the PCI bus", count, count == 1 ? " is" : "s are"), ""};
    if (!wants_gpu(patient))
        return std::nullopt;
    return Finding{"gpu", Health::warning, "there is no NVIDIA GPU: the bytes can go to RAM only, which saves none",
                   "engine = host in /etc/vramswap.conf says that this is meant"};
}

std::optional<Finding> check_driver(const Patient& patient) {
    if (!wants_gpu(patient) || nvidia_gpus(patient) == 0)
        return std::nullopt;
    if (!has(patient, "/proc/driver/nvidia/version"))
        return Finding{"driver", Health::error,
                       fmt::format("NVIDIA's kernel driver is not loaded{}",
                                   has(patient, "/sys/module/nouveau") ? ": nouveau has the GPU" : ""),
                       "install NVIDIA's driver (nvidia-driver) and reboot, or: modprobe nvidia"};
    if (!has_libcuda(patient))
        return Finding{"driver", Health::error, "NVIDIA's driver is loaded, but libcuda.so.1 is not installed",
                       "install the driver's CUDA library (Debian: libcuda1; Ubuntu: libnvidia-compute)"};
    return Finding{"driver", Health::ok, "NVIDIA's driver is loaded, with libcuda", ""};
}

std::optional<Finding> check_vram(const Patient& patient) {
    constexpr unsigned long least = 512; // MiB: the usual headroom, below which not much is left to store in
    const auto& devices = patient.devices;
    if (devices && std::ranges::any_of(*devices, [](const DeviceInfo& d) { return engine_word(d.label) == "cuda"; }))
        return Finding{"vram", Health::ok, "a device has its share", ""};
    if (!patient.gpus || !wants_gpu(patient))
        return std::nullopt;
    unsigned long most = 0;
    std::istringstream lines(*patient.gpus);
    for (std::string line; std::getline(lines, line);) {
        unsigned long free = 0;
        if (std::istringstream(line) >> free)
            most = std::max(most, free);
    }
    if (most < 2 * least)
        return Finding{"vram", Health::error, fmt::format("{} MiB of VRAM are free", most),
                       "end programs that use the GPU (nvidia-smi lists them), or set a smaller size and headroom"};
    return Finding{"vram", Health::ok, fmt::format("{} MiB of VRAM are free", most), ""};
}

std::optional<Finding> check_devices(const Patient& patient) {
    if (!patient.devices)
        return std::nullopt;
    if (patient.devices->empty())
        return Finding{"devices", Health::warning, "there is no device", "vramswapctl add"};
    for (const DeviceInfo& device : *patient.devices)
        if (auto lost = find_lost(device))
            return lost;
    const auto live = std::ranges::count(*patient.devices, std::uint32_t{VRAMSWAP_STATE_LIVE}, &DeviceInfo::state);
    if (live == 0)
        return Finding{"devices", Health::warning, "no device is live: none has a helper", "vramswapctl start 0"};
    if (auto absent = find_absent(patient))
        return absent;
    for (const DeviceInfo& device : *patient.devices) {
        if (auto hasty = find_hasty(device))
            return hasty;
        if (auto in_ram = find_in_ram(patient, device))
            return in_ram;
    }
    return Finding{"devices", Health::ok, fmt::format("{} of {} live", live, patient.devices->size()), ""};
}

} // namespace vramswap::ctl
