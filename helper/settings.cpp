// SPDX-License-Identifier: MIT
#include "settings.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <charconv>
#include <optional>
#include <set>

#include "vramswap.h"

namespace vramswap {
namespace {

using Value = std::string_view;

/// All of `text` as a number from `least` to `most`, or nothing.
template<class Number>
std::optional<Number> number_of(Value text, Number least, Number most) {
    Number number{};
    const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (status != std::errc{} || end != text.data() + text.size() || !(number >= least && number <= most))
        return std::nullopt;
    return number;
}

/// A whole number within bounds, of which `what` is to be said if it is none.
Result<unsigned> whole(Value text, unsigned least, unsigned most, std::string_view what) {
    if (const auto number = number_of(text, least, most))
        return *number;
    return fail(EINVAL, "'{}' is no {}: write a whole number, {} to {}", text, what, least, most);
}

Result<std::chrono::milliseconds> timeout(Value text, double least) {
    constexpr double most = 86400; // of the kernel's: a day
    const auto seconds = number_of(text, least, most);
    if (!seconds)
        return fail(EINVAL, "'{}' is no time here: write seconds, {} to {}", text, least, most);
    const std::chrono::milliseconds time(static_cast<long long>(*seconds * 1000 + 0.5));
    if (time.count() == 0 && *seconds > 0)
        return fail(EINVAL, "{} seconds are too short: write 0.001 or more, or 0", text);
    return time;
}

/// Of a duration's own unit, which `what` names.
template<class Duration>
Result<Duration> whole_time(Value text, unsigned most, std::string_view what) {
    auto number = whole(text, 0, most, what);
    if (!number)
        return pass_on(number);
    return Duration(*number);
}

template<class From, class To>
Result<void> put(Result<From> from, To& to) {
    if (!from)
        return pass_on(from);
    to = std::move(*from);
    return {};
}

Result<void> set_engine(Config& config, Value value) {
    if (value == "cuda")
        config.engine = EngineChoice::cuda;
    else if (value == "host")
        config.engine = EngineChoice::host;
    else if (value == "auto")
        config.engine = EngineChoice::automatic;
    else
        return fail(EINVAL, "'{}' is no engine: write auto, cuda or host", value);
    return {};
}

Result<void> set_gpu(Config& config, Value value) {
    if (!looks_like_gpu(value))
        return fail(EINVAL, "'{}' is no GPU's number, UUID (GPU-...) or PCI address", value);
    config.gpu = value;
    return {};
}

Result<void> set_cuda_path(Config& config, Value value) {
    config.cuda_path = cuda_path_of(value);
    if (!config.cuda_path && value != "auto")
        return fail(EINVAL, "'{}' is no way to copy: write auto, engine, batch, kernel or poll", value);
    return {};
}

Result<void> set_checksums(Config& config, Value value) {
    if (value == "auto")
        config.checksums.reset();
    else if (value == "yes" || value == "no")
        config.checksums = value == "yes";
    else
        return fail(EINVAL, "'{}' is no answer: write auto, yes or no", value);
    return {};
}

Result<void> set_store(Config& config, Value value) {
    if (value.empty() || value.size() > max_store_path)
        return fail(EINVAL, "the path of a store has 1 to {} bytes", max_store_path);
    config.store = value;
    return {};
}

/// A rule that comes to something, if that is the same on every machine.
Result<SizeRule> sensible_rule(Value text) {
    auto rule = SizeRule::parse(text);
    if (rule && rule->constant())
        if (const auto bytes = rule->bytes({}); !bytes)
            return std::unexpected(bytes.error());
    return rule;
}

Result<void> set_size(Config& config, Value value) {
    auto rule = sensible_rule(value);
    if (!rule)
        return pass_on(rule);
    if (rule->constant())
        if (const auto capacity = capacity_of(rule->bytes({}).value_or(0)); !capacity)
            return std::unexpected(capacity.error());
    config.size = std::move(*rule);
    return {};
}

struct Setting {
    std::string_view key;
    Result<void> (*set)(Config& config, Value value);
    bool store = false; ///< settings_chooses_store
};

// In the order of docs/CONFIG.md.
constexpr std::array settings{
    Setting{"size", set_size},
    Setting{"engine", set_engine, true},
    Setting{"gpu", set_gpu, true},
    Setting{"headroom", [](Config& config, Value value) { return put(sensible_rule(value), config.headroom); }},
    Setting{"swap-priority",
            [](Config& config, Value value) {
                return put(whole(value, 0, 32767, "priority of swap"), config.swap_priority);
            }},
    Setting{"hold-timeout", [](Config& config, Value value) { return put(timeout(value, 0), config.hold_timeout); }},
    Setting{"io-timeout", [](Config& config, Value value) { return put(timeout(value, 1), config.io_timeout); }},
    Setting{"queues",
            [](Config& config, Value value) { return put(whole(value, 1, 64, "number of queues"), config.queues); }},
    Setting{"idle-spin",
            [](Config& config, Value value) {
                return put(whole_time<std::chrono::microseconds>(value, VRAMSWAP_MAX_SPIN_US, "number of microseconds"),
                           config.spin);
            }},
    Setting{"cuda-path", set_cuda_path, true},
    Setting{"checksums", set_checksums},
    Setting{"store", set_store, true},
    Setting{"wait-device",
            [](Config& config, Value value) {
                return put(whole_time<std::chrono::seconds>(value, 3600, "number of seconds"), config.wait_device);
            }},
};

const Setting* find(std::string_view key) {
    const auto* const found = std::ranges::find(settings, key, &Setting::key);
    return found == settings.end() ? nullptr : found;
}

std::string key_list() {
    std::string text;
    for (const Setting& setting : settings)
        text += fmt::format("{}{}", text.empty() ? "" : ", ", setting.key);
    return text;
}

/// "vramswap3" → 3. No other spelling of a number: two sections of one device would go by two names.
std::optional<unsigned> device_of(std::string_view section) {
    constexpr std::string_view prefix = "vramswap";
    if (!section.starts_with(prefix))
        return std::nullopt;
    const auto device = number_of(section.substr(prefix.size()), 0U, max_device);
    return device && section == fmt::format("vramswap{}", *device) ? device : std::nullopt;
}

Result<unsigned> section_device(const ConfSection& section) {
    if (const auto device = device_of(section.name))
        return *device;
    return fail(EINVAL, "{}:{}: [{}] is no device: write [vramswap0], or another number up to {}", section.file,
                section.line, section.name, max_device);
}

Result<void> apply(Config& config, const ConfSection& section) {
    for (const ConfEntry& entry : section.entries)
        if (const auto set = settings_set(config, entry.key, entry.value); !set)
            return fail(set.error().code, "{}:{}: {}{}", section.file, entry.line,
                        set.error().code == ENOENT ? "" : entry.key + ": ", set.error().message);
    return {};
}

Result<std::vector<ConfSection>> read_sections(const std::string& root, const std::string& file) {
    if (!file.empty())
        return conf_read({file});
    const auto files = conf_files(root);
    if (!files)
        return std::unexpected(files.error());
    return conf_read(*files);
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

Result<void> settings_set(Config& config, std::string_view key, std::string_view value) {
    const Setting* const setting = find(key);
    if (setting == nullptr)
        return fail(ENOENT, "there is no key '{}'; there are {}", key, key_list());
    return setting->set(config, value);
}

bool settings_chooses_store(std::string_view key) {
    const Setting* const setting = find(key);
    return setting != nullptr && setting->store;
}

void settings_forget_store(Config& config) {
    const Config fresh;
    config.engine = fresh.engine;
    config.gpu = fresh.gpu;
    config.cuda_path = fresh.cuda_path;
    config.store = fresh.store;
}

Result<void> settings_complete(Config& config) {
    const bool gpu = !config.gpu.empty() || config.cuda_path;
    const bool store = !config.store.empty();
    if ((gpu && (store || config.engine == EngineChoice::host)) || (store && config.engine == EngineChoice::cuda))
        return fail(EINVAL,
                    "gpu and cuda-path are for the engine cuda, store is for the engine host: choose one of them");
    if (gpu)
        config.engine = EngineChoice::cuda;
    if (store)
        config.engine = EngineChoice::host;
    return {};
}

Result<Config> settings_of(unsigned device, const std::vector<ConfSection>& sections) {
    Config config{.device = device};
    for (const ConfSection& section : sections) {
        auto named = section_device(section);
        if (!named)
            return pass_on(named);
        Config other;
        config.configured = config.configured || *named == device;
        if (auto applied = apply(*named == device ? config : other, section); !applied)
            return pass_on(applied);
    }
    return config;
}

Result<Config> settings_read(unsigned device, const std::string& root, const std::string& file) {
    const auto sections = read_sections(root, file);
    if (!sections)
        return std::unexpected(sections.error());
    return settings_of(device, *sections);
}

Result<std::vector<unsigned>> settings_devices(const std::string& root) {
    const auto sections = read_sections(root, {});
    if (!sections)
        return std::unexpected(sections.error());
    std::set<unsigned> devices;
    for (const ConfSection& section : *sections) {
        auto device = section_device(section);
        if (!device)
            return pass_on(device);
        devices.insert(*device);
    }
    return std::vector(devices.begin(), devices.end());
}

} // namespace vramswap
