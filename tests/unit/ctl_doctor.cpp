// SPDX-License-Identifier: MIT
// A healthy machine as a folder, and then one fault after the other planted in it.
#include "catch.hpp"

#include "doctor.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>
#include <vector>

using namespace vramswap;
using namespace vramswap::ctl;
namespace fs = std::filesystem;

namespace {

const std::string module_path = "/lib/modules/6.12.0-test/updates/dkms/vramswap.ko";
const std::string secure_boot = "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c";

/// A machine with all that is wanted: one GPU, its driver, one device swapped on above a disk.
class Machine {
public:
    Machine() {
        std::string name = fs::temp_directory_path() / "vramswap-doctor-XXXXXX";
        REQUIRE(mkdtemp(name.data()) != nullptr);
        patient.root = name;
        write("/proc/sys/kernel/osrelease", "6.12.0-test\n");
        write("/sys/module/vramswap/refcnt", "1\n");
        write(module_path, "ELF~Module signature appended~\n");
        write("/lib/modules/6.12.0-test/modules.dep", "kernel/a.ko:\nupdates/dkms/vramswap.ko:\n");
        write("/sys/module/module/parameters/sig_enforce", "N\n");
        write(secure_boot, std::string("\6\0\0\0\0", 5));
        write("/etc/vramswap.conf", "[vramswap0]\nsize = 4G\n");
        write("/sys/bus/pci/devices/0000:01:00.0/vendor", "0x10de\n");
        write("/sys/bus/pci/devices/0000:01:00.0/class", "0x030000\n");
        write("/proc/driver/nvidia/version", "NVRM version\n");
        write("/usr/lib/x86_64-linux-gnu/libcuda.so.1", "");
        write("/proc/swaps", "Filename Type Size Used Priority\n/dev/vramswap0 partition 4194300 0 50\n"
                             "/swapfile file 8388604 0 -2\n");
        write("/proc/sys/vm/swappiness", "100\n");
        write("/proc/sys/vm/page-cluster", "0\n");
        write("/sys/module/zswap/parameters/enabled", "N\n");
        write("/sys/power/disk", "[platform] shutdown reboot\n");
        write("/sys/power/resume", "0:0\n");
        write("/proc/cmdline", "BOOT_IMAGE=/vmlinuz root=/dev/sda1 quiet\n");
        patient.devices.emplace();
        patient.devices->push_back({.index = 0,
                                    .name = "vramswap0",
                                    .state = VRAMSWAP_STATE_LIVE,
                                    .hold_timeout_ms = 120000,
                                    .io_timeout_ms = 30000,
                                    .label = "NVIDIA RTX A2000 (0000:01:00.0)"});
        patient.gpus = "300, 6138, NVIDIA RTX A2000\n";
    }
    Machine(const Machine&) = delete;
    Machine& operator=(const Machine&) = delete;
    Machine(Machine&&) = delete;
    Machine& operator=(Machine&&) = delete;
    ~Machine() { fs::remove_all(patient.root); }

    void write(const std::string& file, const std::string& text) const {
        fs::create_directories(fs::path(patient.root + file).parent_path());
        std::ofstream(patient.root + file) << text;
    }
    void keep_in_ram() {
        patient.devices->front().label = "host memory (memfd)";
        patient.gpus = "6000, 6138, NVIDIA RTX A2000\n";
    }
    void remove(const std::string& file) const { fs::remove_all(patient.root + file); }

    Patient patient;
};

std::string told(const std::vector<Finding>& findings) {
    std::string text;
    for (const Finding& finding : findings)
        text +=
            std::string(health_word(finding.health)) + " " + std::string(finding.check) + ": " + finding.what + "\n";
    return text;
}

} // namespace

TEST_CASE("a healthy machine has nothing to be mended") {
    const Machine machine;
    const auto findings = examine(machine.patient);
    INFO(told(findings));
    REQUIRE(worst(findings) == Health::ok);
    REQUIRE(findings.size() == 15);
    REQUIRE(std::ranges::all_of(findings, [](const Finding& f) { return f.mend.empty() && !f.what.empty(); }));
}

TEST_CASE("each planted fault is found, alone, and with what mends it") {
    struct Fault {
        const char* check;
        Health health;
        const char* words; ///< of what or mend
        std::function<void(Machine&)> plant;
    };
    const std::string driver = "/proc/driver/nvidia";
    const auto state = [](std::uint32_t to) {
        return [to](Machine& m) {
            m.patient.devices->front().state = to;
            m.patient.devices->front().reason = ETIMEDOUT;
        };
    };
    const std::vector<Fault> faults{
        {"kernel", Health::error, "6.1 or newer",
         [](Machine& m) { m.write("/proc/sys/kernel/osrelease", "5.15.0-1-amd64\n"); }},
        {"module", Health::error, "modprobe vramswap", [](Machine& m) { m.remove("/sys/module/vramswap"); }},
        {"module", Health::error, "dkms autoinstall",
         [](Machine& m) {
             m.remove("/sys/module/vramswap");
             m.write("/lib/modules/6.12.0-test/modules.dep", "kernel/a.ko:\n");
         }},
        {"configuration", Health::error,
         "vramswap.conf:2: ", [](Machine& m) { m.write("/etc/vramswap.conf", "[vramswap0]\nsise = 4G\n"); }},
        {"configuration", Health::error, "choose one",
         [](Machine& m) { m.write("/etc/vramswap.conf", "[vramswap0]\nengine = host\ngpu = 0\n"); }},
        {"configuration", Health::error, "vramswap.conf:2: size",
         [](Machine& m) { m.write("/etc/vramswap.conf", "[vramswap0]\nsize = 1/0\n"); }},
        {"configuration", Health::error, "size = 1G",
         [](Machine& m) { m.write("/etc/vramswap.conf", "[vramswap0]\nengine = host\n"); }},
        {"configuration", Health::error, "a part of ram",
         [](Machine& m) { m.write("/etc/vramswap.conf", "[vramswap0]\nengine = host\nsize = 80%\n"); }},
        {"driver", Health::error, "not loaded", [driver](Machine& m) { m.remove(driver); }},
        {"driver", Health::error, "nouveau",
         [driver](Machine& m) {
             m.remove(driver);
             m.write("/sys/module/nouveau/refcnt", "1\n");
         }},
        {"driver", Health::error, "libcuda", [](Machine& m) { m.remove("/usr/lib/x86_64-linux-gnu/libcuda.so.1"); }},
        {"vram", Health::error, "300 MiB of VRAM", [](Machine& m) { m.patient.devices->front().label = ""; }},
        {"devices", Health::error, "helper of vramswap0 is lost", state(VRAMSWAP_STATE_HELD)},
        {"devices", Health::error, "vramswapctl start 0; journalctl", state(VRAMSWAP_STATE_HELD)},
        {"devices", Health::error, "lost its contents", state(VRAMSWAP_STATE_FAILED)},
        {"devices", Health::warning, "vramswapctl start 0", state(VRAMSWAP_STATE_EMPTY)},
        {"devices", Health::warning, "--hold-timeout 120",
         [](Machine& m) {
             m.patient.devices->front().io_timeout_ms = m.patient.devices->front().hold_timeout_ms = 30000;
         }},
        {"devices", Health::warning, "systemctl enable --now vramswap@1",
         [](Machine& m) { m.write("/etc/vramswap.conf", "[vramswap0]\n[vramswap1]\nsize = 4G\n"); }},
        {"devices", Health::warning, "systemctl enable --now vramswap@1",
         [](Machine& m) {
             m.write("/etc/vramswap.conf", "[vramswap1]\n");
             m.patient.devices->push_back({.index = 1, .name = "vramswap1"});
         }},
        {"devices", Health::warning, "takes RAM", [](Machine& m) { m.keep_in_ram(); }},
        {"devices", Health::warning, "takes RAM",
         [](Machine& m) {
             m.keep_in_ram();
             m.write("/etc/vramswap.conf", "[vramswap0]\nengine = cuda\n");
         }},
        {"tiers", Health::warning, "no other swap below",
         [](Machine& m) { m.write("/proc/swaps", "/dev/vramswap0 partition 4194300 0 50\n"); }},
        {"tiers", Health::warning, "no other swap below",
         [](Machine& m) {
             m.write("/proc/swaps", "/dev/vramswap0 partition 4194300 0 50\n/dev/zram0 partition 400 0 5\n");
         }},
        {"tiers", Health::warning, "does not lie below",
         [](Machine& m) {
             m.write("/proc/swaps", "/dev/vramswap0 partition 4194300 0 50\n/dev/sda2 partition 4194300 0 50\n");
         }},
        {"tiers", Health::warning, "fills both in turns",
         [](Machine& m) {
             m.write(
                 "/proc/swaps",
                 "/dev/zram0 partition 400 0 50\n/dev/vramswap0 partition 4194300 0 50\n/swapfile file 8388604 0 -2\n");
         }},
        {"swap", Health::warning, "vramswapctl swap-on 0", [](Machine& m) { m.write("/proc/swaps", ""); }},
        {"swappiness", Health::warning, "vm.swappiness=100",
         [](Machine& m) { m.write("/proc/sys/vm/swappiness", "10\n"); }},
        {"page-cluster", Health::warning, "8 pages", [](Machine& m) { m.write("/proc/sys/vm/page-cluster", "3\n"); }},
        {"zswap", Health::warning, "zswap.enabled=0",
         [](Machine& m) { m.write("/sys/module/zswap/parameters/enabled", "Y\n"); }},
        {"oomd", Health::warning, "50%",
         [](Machine& m) {
             fs::create_directories(m.patient.root + "/sys/fs/cgroup/system.slice/systemd-oomd.service");
             m.write("/etc/systemd/oomd.conf.d/10-tight.conf", "[OOM]\nSwapUsedLimit=50%\n");
         }},
        {"hibernation", Health::warning, "systemctl enable vramswap-sleep",
         [](Machine& m) { m.write("/sys/power/resume", "8:2\n"); }},
        {"hibernation", Health::error, "does not survive",
         [](Machine& m) { m.write("/proc/cmdline", "root=/dev/sda1 resume=/dev/vramswap0\n"); }},
    };
    for (const Fault& fault : faults) {
        Machine machine;
        fault.plant(machine);
        const auto findings = examine(machine.patient);
        INFO(fault.check << ", " << fault.words << "\n" << told(findings));
        std::vector<Finding> bad;
        std::ranges::copy_if(findings, std::back_inserter(bad), [](const auto& f) { return f.health != Health::ok; });
        REQUIRE(bad.size() == 1);
        REQUIRE(bad.front().check == fault.check);
        REQUIRE(bad.front().health == fault.health);
        REQUIRE(!bad.front().mend.empty());
        REQUIRE((bad.front().what + bad.front().mend).find(fault.words) != std::string::npos);
    }
}

TEST_CASE("under Secure Boot a module must be signed") {
    Machine machine;
    const auto signature = [&machine] {
        const auto findings = examine(machine.patient);
        const auto found = std::ranges::find(findings, "signature", &Finding::check);
        REQUIRE(found != findings.end());
        return *found;
    };
    machine.write(secure_boot, std::string("\6\0\0\0\1", 5));
    REQUIRE(signature().health == Health::ok); // the kernel took it
    machine.remove("/sys/module/vramswap");
    REQUIRE(signature().health == Health::warning);
    machine.write(module_path, "ELF");
    REQUIRE(signature().health == Health::error);
    REQUIRE(signature().mend.find("mokutil --import") != std::string::npos);
    REQUIRE(signature().mend.find("dkms build --force") != std::string::npos);
    machine.write("/lib/modules/6.12.0-test/modules.dep", "updates/dkms/vramswap.ko.xz:\n");
    REQUIRE(signature().health == Health::warning);
    REQUIRE(signature().what.find("compressed") != std::string::npos);
    machine.patient.signature = "PKCS#7\n";
    REQUIRE(signature().what.find("the module is signed") != std::string::npos);
    machine.patient.signature = "\n";
    REQUIRE(signature().health == Health::error);
    machine.patient.signature.reset();
    machine.remove(secure_boot);
    REQUIRE(signature().health == Health::ok);
    machine.write("/sys/kernel/security/lockdown", "none [integrity] confidentiality\n");
    REQUIRE(signature().health == Health::warning);
}

TEST_CASE("a machine without a GPU is fine if that is meant") {
    Machine machine;
    machine.remove("/sys/bus/pci");
    machine.remove("/proc/driver");
    machine.patient.gpus.reset();
    machine.patient.devices->front().label = "host memory (memfd)";
    REQUIRE(worst(examine(machine.patient)) == Health::warning);
    machine.write("/etc/vramswap.conf", "[vramswap0]\nsize = 4G\nengine = host\n");
    REQUIRE(worst(examine(machine.patient)) == Health::ok);
}

TEST_CASE("a machine with a GPU may keep a device in RAM if that is meant") {
    Machine machine;
    machine.keep_in_ram();
    machine.write("/etc/vramswap.conf", "[vramswap0]\nsize = 4G\nengine = host\n");
    REQUIRE(worst(examine(machine.patient)) == Health::ok);
}

TEST_CASE("hibernation is fine where the unit stands before it") {
    const Machine machine;
    const std::string wants = machine.patient.root + "/etc/systemd/system/sleep.target.requires";
    machine.write("/sys/power/resume", "8:2\n");
    fs::create_directories(wants);
    fs::create_symlink("/nowhere/vramswap-sleep.service", wants + "/vramswap-sleep.service");
    const auto findings = examine(machine.patient);
    INFO(told(findings));
    REQUIRE(worst(findings) == Health::ok);
}

TEST_CASE("an empty folder is examined without a stumble") {
    Machine machine;
    machine.remove("");
    REQUIRE(!examine({.root = machine.patient.root, .devices = {}, .gpus = {}, .signature = {}}).empty());
}
