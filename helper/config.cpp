// SPDX-License-Identifier: MIT
#include "config.hpp"

#include <array>
#include <cerrno>
#include <utility>

#include <CLI/CLI.hpp>

#include "settings.hpp"

#ifndef VRAMSWAP_VERSION
#define VRAMSWAP_VERSION "unknown"
#endif

namespace vramswap {
namespace {

constexpr std::string_view description =
    "vramswapd serves one vramswap block device: it stores the device's bytes in memory that the rest of the\n"
    "system does not use, so that the device can be swap space.";

constexpr std::string_view footer = R"(Examples:
  vramswapd                                 a part of the first GPU's memory behind /dev/vramswap0
  vramswapd --size 4G                       4 GiB of a GPU's memory; without a GPU, of RAM
  vramswapd --size 4G --gpu 0000:65:00.0    of this GPU or not at all
  vramswapd --size 'min(vram - 2G, 80%)'    a size that suits whatever GPU there is
  vramswapd --size 4G --engine host         of locked host memory
  vramswapd --size 8G --store /dev/dax0.0   the same from a memory device
  then: vramswapctl swap-on 0

All but --device, --config, --foreground, --help and --version can stand in the section [vramswapN] of
/etc/vramswap.conf, or of drop-ins in /etc/vramswap.conf.d, as in "size = 4G" (vramswap.conf(5)). The command line has
precedence.

The module comes first (modprobe vramswap), and the helper must be root. It stays in the foreground.
SIGTERM or SIGINT stops it, but only once nothing uses the device: swapoff first, or it goes on serving.

It is two processes, a worker that serves the device and a keeper. If the worker dies, the keeper starts another, which
takes the contents over; until then I/O waits, and nothing is lost. If the keeper is killed too, systemd can do the
same (FileDescriptorStoreMax=256, NotifyAccess=all); without it, contents in memory of the helper's own die with it.

Exit status: 0 after an orderly stop, 1 after a failure, 2 for a wrong command line or configuration, 78 if it cannot
start and would not when tried again, 128 and the signal's number if the worker was killed before it had anything to
keep. While a service manager keeps a predecessor's contents 2 and 78 are 1: what is wrong may be mended before the hold
time is over.)";

/// An option that stands for a setting of its own name, or of another.
struct SettingOption {
    const char* names;
    std::string_view key;
    const char* value; ///< what the help shows for its argument
    const char* help;
};

constexpr std::array setting_options{
    SettingOption{
        "--size", "size", "SIZE",
        "How much to store: bytes, with K, M, G or T (powers of\n1024), a part of VRAM (80%), or a rule of vram "
        "and ram\n(default: min(vram - 2G, 0.8 * vram))"},
    SettingOption{"--headroom", "headroom", "SIZE",
                  "Store less if need be, so that so much VRAM stays free\n(default: none, or 512M without --size)"},
    SettingOption{"--engine", "engine", "NAME",
                  "What stores the bytes: cuda (a GPU's memory), host, or\nauto: cuda if a GPU can be used, else host "
                  "(default)"},
    SettingOption{"--gpu", "gpu", "GPU",
                  "Which GPU: its number, UUID or PCI address (default: the\nfirst); nvidia-smi "
                  "--query-gpu=index,uuid,pci.bus_id\n--format=csv shows them"},
    SettingOption{"--cuda-path", "cuda-path", "NAME",
                  "How a GPU copies: engine (its copy engines), batch (the\nsame, many with one call), kernel (a short "
                  "program), poll\n(a program that never ends: quickest, but it occupies part\nof the GPU and keeps it "
                  "awake), or auto: measured at start,\nwithout poll (default)"},
    SettingOption{
        "--checksums", "checksums", "auto|yes|no",
        "Keep a checksum of each block, and fail a read of other\nbytes than were written (default: auto, on GPUs "
        "whose\nmemory has no error correction)"},
    SettingOption{
        "--store", "store", "PATH",
        "File or memory device behind the host engine (hugetlbfs,\nDAX, a PCI BAR), overwritten (default: own "
        "memory)"},
    SettingOption{"--queues", "queues", "N", "Queues of requests, one thread each (default: the module's)"},
    SettingOption{"--hold-timeout", "hold-timeout", "SECONDS",
                  "How long requests wait for a lost helper (default: the\nmodule's, 120)"},
    SettingOption{
        "--io-timeout", "io-timeout", "SECONDS",
        "How long a request may stay unanswered before the helper\ncounts as lost (default: the module's, 30)"},
    SettingOption{"--idle-spin,--spin-us", "idle-spin", "USEC",
                  "Look for work for so many microseconds before sleeping;\n0 always sleeps (default 100)"},
    SettingOption{"--wait-device", "wait-device", "SECONDS",
                  "Wait so long for a predecessor to let go of the device\n(default 5)"},
};

/// The options as CLI11 fills them in.
struct Raw {
    unsigned device = 0;
    std::string file;
    std::array<std::string, setting_options.size()> values;
    bool foreground = true;
};

/// One option; `value` is what the help shows for its argument, and no more: the checks explain themselves on failure.
template<class Value>
CLI::Option* add(CLI::App& app, const char* name, Value& place, const char* value, const char* help) {
    return app.add_option(name, place, help)->option_text(value);
}

void add_options(CLI::App& app, Raw& raw) {
    app.footer(std::string(footer));
    app.get_formatter()->column_width(26);
    app.set_help_flag("--help,-h", "Print this text and leave");
    app.set_version_flag("--version", "vramswapd " VRAMSWAP_VERSION, "Print the version and leave");
    add(app, "--device", raw.device, "N", "N of /dev/vramswapN (default 0)")->check(CLI::Range(0U, max_device));
    add(app, "--config", raw.file, "FILE", "Read this file alone, instead of /etc/vramswap.conf and\nits drop-ins");
    for (std::size_t i = 0; i < setting_options.size(); ++i)
        add(app, setting_options[i].names, raw.values[i], setting_options[i].value, setting_options[i].help);
    app.add_flag("--foreground", raw.foreground, "Stay in the foreground, as it always does");
}

/// What the command line says, over what the files say. To choose a store here is to choose all of it here.
Result<Config> finish(const CLI::App& app, const Raw& raw, Config config) {
    const auto given = [&app](const SettingOption& option) {
        const std::string_view names = option.names;
        return app.count(std::string(names.substr(0, names.find(',')))) != 0;
    };
    for (const SettingOption& option : setting_options)
        if (given(option) && settings_chooses_store(option.key))
            settings_forget_store(config);
    for (std::size_t i = 0; i < setting_options.size(); ++i) {
        const SettingOption& option = setting_options[i];
        if (!given(option))
            continue;
        if (auto set = settings_set(config, option.key, raw.values[i]); !set)
            return fail(set.error().code, "--{}: {}", option.key, set.error().message);
    }
    if (auto completed = settings_complete(config); !completed)
        return pass_on(completed);
    return config;
}

} // namespace

Result<std::variant<Config, Text>> parse_config(int argc, const char* const* argv, const std::string& root,
                                                bool read_files) {
    try {
        CLI::App app(std::string(description), "vramswapd");
        Raw raw;
        add_options(app, raw);
        try {
            app.parse(argc, argv);
        } catch (const CLI::CallForHelp&) {
            return Text{app.help()};
        } catch (const CLI::CallForVersion& version) {
            return Text{std::string(version.what()) + "\n"};
        } catch (const CLI::ParseError& error) {
            return fail(EINVAL, "{} (see vramswapd --help)", error.what());
        }
        auto read = read_files ? settings_read(raw.device, root, raw.file)
                               : Result<Config>(Config{.device = raw.device, .files_count = false});
        if (!read)
            return pass_on(read);
        auto config = finish(app, raw, std::move(*read));
        if (!config)
            return pass_on(config);
        return std::move(*config);
    } catch (const std::exception& error) {
        return fail(EINVAL, "the command line could not be read: {}", error.what());
    }
}

} // namespace vramswap
