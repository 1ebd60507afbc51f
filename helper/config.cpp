// SPDX-License-Identifier: MIT
#include "config.hpp"

#include <algorithm>
#include <cctype>
#include <cerrno>

#include <CLI/CLI.hpp>

#include "vramswap.h"

#ifndef VRAMSWAP_VERSION
#define VRAMSWAP_VERSION "unknown"
#endif

namespace vramswap {
namespace {

constexpr std::string_view description =
    "vramswapd serves one vramswap block device: it stores the device's bytes in memory that the rest of the\n"
    "system does not use, so that the device can be swap space.";

constexpr std::string_view footer = R"(Examples:
  vramswapd --size 4G                       4 GiB of a GPU's memory behind /dev/vramswap0; without one, of RAM
  vramswapd --size 4G --gpu 0000:65:00.0    of this GPU or not at all
  vramswapd --size 4G --engine host         of locked host memory
  vramswapd --size 8G --store /dev/dax0.0   the same from a memory device
  then: mkswap /dev/vramswap0 && swapon --discard --priority 100 /dev/vramswap0

The module comes first (modprobe vramswap), and the helper must be root. It stays in the foreground.
SIGTERM or SIGINT stops it, but only once nothing uses the device: swapoff first, or it goes on serving.

It is two processes, a worker that serves the device and a keeper. If the worker dies, the keeper starts another, which
takes the contents over; until then I/O waits, and nothing is lost. If the keeper is killed too, systemd can do the
same (FileDescriptorStoreMax=256, NotifyAccess=all); without it, contents in memory of the helper's own die with it.

Exit status: 0 after an orderly stop, 1 after a failure, 2 for a wrong command line, 128 and the signal's number if the
worker was killed before it had anything to keep.)";

/// The options as CLI11 fills them in.
struct Raw {
    Config config;
    std::string size;
    std::string engine = "auto";
    std::string cuda_path = "auto";
    std::uint64_t spin_us = 100;
    std::uint64_t wait_s = 5;
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
    add(app, "--device", raw.config.device, "N", "N of /dev/vramswapN (default 0)")
        ->check(CLI::Range(0U, 1048575U)); // the minor numbers that Linux has
    add(app, "--size", raw.size, "SIZE",
        "How much to store: bytes, or with K, M, G or T (powers of\n1024). Needed unless a predecessor's contents are "
        "taken over");
    add(app, "--engine", raw.engine, "NAME",
        "What stores the bytes: cuda (a GPU's memory), host, or\nauto: cuda if a GPU can be used, else host (default)")
        ->check(CLI::IsMember({"auto", "cuda", "host"}));
    add(app, "--gpu", raw.config.gpu, "GPU",
        "Which GPU: its number, UUID or PCI address, as shown by\nnvidia-smi -L (default: the first)");
    add(app, "--cuda-path", raw.cuda_path, "NAME",
        "How a GPU copies: engine (its copy engines), batch (the\nsame, many with one call), kernel (a short program), "
        "poll\n(a program that never ends: quickest, but it occupies part\nof the GPU and keeps it awake), or auto: "
        "measured at start,\nwithout poll (default)")
        ->check(CLI::IsMember({"auto", "engine", "batch", "kernel", "poll"}));
    add(app, "--store", raw.config.store, "PATH",
        "File or memory device behind the host engine (hugetlbfs,\nDAX, a PCI BAR), overwritten (default: own memory)");
    add(app, "--spin-us", raw.spin_us, "USEC",
        "Look for work for so many microseconds before sleeping;\n0 always sleeps (default 100)")
        ->check(CLI::Range(0U, 10000U));
    add(app, "--wait-device", raw.wait_s, "SECONDS",
        "Wait so long for a predecessor to let go of the device\n(default 5)")
        ->check(CLI::Range(0U, 3600U));
    app.add_flag("--foreground", raw.foreground, "Stay in the foreground, as it always does");
}

/// What is said about the engine must fit together: to name a GPU, its path or a store is to name its engine.
Result<void> choose_engine(Config& config, std::string_view name) {
    const bool gpu = !config.gpu.empty() || config.cuda_path;
    const bool store = !config.store.empty();
    if (!config.gpu.empty() && !looks_like_gpu(config.gpu))
        return fail(EINVAL, "--gpu: '{}' is no GPU's number, UUID (GPU-...) or PCI address", config.gpu);
    if ((gpu && (store || name == "host")) || (store && name == "cuda"))
        return fail(
            EINVAL,
            "--gpu and --cuda-path are for the engine cuda, --store is for the engine host: choose one of them");
    if (gpu || name == "cuda")
        config.engine = EngineChoice::cuda;
    else if (store || name == "host")
        config.engine = EngineChoice::host;
    return {};
}

Result<Config> finish(Raw raw) {
    if (!raw.size.empty()) {
        auto size = parse_size(raw.size);
        if (!size)
            return fail(size.error().code, "--size: {}", size.error().message);
        raw.config.size = *size;
    }
    raw.config.cuda_path = cuda_path_of(raw.cuda_path);
    if (raw.config.store.size() > max_store_path)
        return fail(EINVAL, "--store: the path is longer than {} bytes", max_store_path);
    if (auto chosen = choose_engine(raw.config, raw.engine); !chosen)
        return pass_on(chosen);
    raw.config.spin = std::chrono::microseconds(raw.spin_us);
    raw.config.wait_device = std::chrono::seconds(raw.wait_s);
    return std::move(raw.config);
}

} // namespace

bool looks_like_gpu(std::string_view text) {
    const auto only = [](std::string_view part, std::string_view others) {
        return !part.empty() && std::ranges::all_of(part, [&](unsigned char c) {
            return std::isxdigit(c) != 0 || others.find(static_cast<char>(c)) != std::string_view::npos;
        });
    };
    if (text.starts_with("GPU-"))
        return only(text.substr(4), "-");
    if (text.find(':') != std::string_view::npos)
        return only(text, ":.");
    return !text.empty() && std::ranges::all_of(text, [](unsigned char c) { return std::isdigit(c) != 0; });
}

Result<std::variant<Config, Text>> parse_config(int argc, const char* const* argv) {
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
        auto config = finish(std::move(raw));
        if (!config)
            return pass_on(config);
        return std::move(*config);
    } catch (const std::exception& error) {
        return fail(EINVAL, "the command line could not be read: {}", error.what());
    }
}

} // namespace vramswap
