// SPDX-License-Identifier: MIT
#include "metrics.hpp"

#include "words.hpp"

#include <fmt/format.h>

#include <array>

namespace vramswap::ctl {
namespace {

/// A label's value: backslash, quote and line end are escaped, as the format wants it.
std::string escaped(std::string_view value) {
    std::string text = "\"";
    for (const char c : value) {
        if (c == '\\' || c == '"')
            text += '\\';
        text += c == '\n' ? std::string("\\n") : std::string(1, c);
    }
    return text + "\"";
}

std::string label(const Sample& sample) {
    return "device=" + escaped(sample.device.name);
}

std::string head(std::string_view name, std::string_view type, std::string_view help) {
    return fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, help, name, type);
}

/// One number of each device.
struct Gauge {
    const char* name;
    const char* type;
    const char* help;
    std::optional<double> (*value)(const Sample& sample); ///< nothing: the device has no such number
};

constexpr const char* gauge = "gauge";
constexpr const char* counter = "counter";

const auto& gauges() {
    using S = const Sample&;
    using Value = std::optional<double>;
    static const std::array all{
        Gauge{"vramswap_size_bytes", gauge, "How much the device holds; 0 unless it is live or held.",
              [](S s) -> Value { return s.device.capacity; }},
        Gauge{"vramswap_used_bytes", gauge, "Bytes written and not discarded since.",
              [](S s) -> Value { return s.device.used; }},
        Gauge{"vramswap_swap_size_bytes", gauge, "Size as swap, if it is swapped on.",
              [](S s) { return s.swap ? Value(s.swap->size) : Value(); }},
        Gauge{"vramswap_swap_used_bytes", gauge, "Bytes in use as swap, if it is swapped on.",
              [](S s) { return s.swap ? Value(s.swap->used) : Value(); }},
        Gauge{"vramswap_swap_priority", gauge, "Priority as swap, if it is swapped on.",
              [](S s) { return s.swap ? Value(s.swap->priority) : Value(); }},
        Gauge{"vramswap_inflight_requests", gauge, "Requests under way or held now.",
              [](S s) -> Value { return s.total.inflight; }},
        Gauge{"vramswap_queues", gauge, "Queues of requests.", [](S s) -> Value { return s.device.queues; }},
        Gauge{"vramswap_hold_timeout_seconds", gauge, "How long requests wait for a lost helper.",
              [](S s) -> Value { return s.device.hold_timeout_ms / 1000.0; }},
        Gauge{"vramswap_doorbells_total", counter, "Times that a sleeping helper had to be woken.",
              [](S s) -> Value { return s.total.doorbells; }},
        Gauge{"vramswap_enters_total", counter, "The helper's calls into the kernel.",
              [](S s) -> Value { return s.total.enters; }},
        Gauge{"vramswap_waits_total", counter, "Those of the helper's calls that slept.",
              [](S s) -> Value { return s.total.waits; }},
        Gauge{"vramswap_spins_total", counter, "Answers that a submitter waited for awake.",
              [](S s) -> Value { return s.total.spins; }},
        Gauge{"vramswap_replayed_requests_total", counter, "Requests sent again to a new helper.",
              [](S s) -> Value { return s.total.replayed; }},
    };
    return all;
}

std::string gauge_text(const Gauge& metric, const Samples& samples) {
    std::string text;
    for (const auto& [index, sample] : samples)
        if (const auto value = metric.value(sample))
            text += fmt::format("{}{{{}}} {:.17g}\n", metric.name, label(sample), *value);
    return text.empty() ? text : head(metric.name, metric.type, metric.help) + text;
}

std::string info_text(const Samples& samples) {
    std::string text = head("vramswap_device_info", gauge, "What the device is; always 1.");
    for (const auto& [index, sample] : samples)
        text += fmt::format("vramswap_device_info{{{},engine={},store={}}} 1\n", label(sample),
                            escaped(engine_word(sample.device.label)), escaped(sample.device.label));
    return text;
}

/// A line for each state, of which one is 1: so that each can be counted and alerted on.
std::string state_text(const Samples& samples) {
    std::string text = head("vramswap_state", gauge, "1 for the state that the device is in, 0 for the others.");
    for (const auto& [index, sample] : samples)
        for (std::uint32_t state = VRAMSWAP_STATE_EMPTY; state <= VRAMSWAP_STATE_FAILED; ++state)
            text += fmt::format("vramswap_state{{{},state={}}} {:d}\n", label(sample), escaped(state_word(state)),
                                sample.device.state == state);
    return text;
}

std::string op_label(const Sample& sample, std::size_t op) {
    return fmt::format("{},operation={}", label(sample), escaped(op_word(op)));
}

std::string op_text(const Samples& samples, const char* name, const char* help, std::uint64_t OpStats::* value) {
    std::string text = head(name, counter, help);
    for (const auto& [index, sample] : samples)
        for (std::size_t op = 0; op < sample.total.ops.size(); ++op)
            text += fmt::format("{}{{{}}} {}\n", name, op_label(sample, op), sample.total.ops.at(op).*value);
    return text;
}

/// The kernel's buckets from 1 us to 17 s, the others summed: bounds are powers of two nanoseconds, as the kernel's.
std::string latency_text(const std::string& labels, const OpStats& op) {
    constexpr std::size_t first = 9; // up to 2^10 ns
    constexpr std::size_t last = 33; // up to 2^34 ns
    constexpr const char* name = "vramswap_request_duration_seconds";
    std::string text;
    std::uint64_t below = 0;
    for (std::size_t bucket = 0; bucket < op.latency.size(); ++bucket) {
        below += op.latency.at(bucket);
        if (bucket >= first && bucket <= last)
            text += fmt::format("{}_bucket{{{},le=\"{:.9g}\"}} {}\n", name, labels,
                                static_cast<double>(std::uint64_t{2} << bucket) / 1e9, below);
    }
    // The kernel counts on while it is read: what is in no bucket yet is left out.
    return text + fmt::format("{}_bucket{{{},le=\"+Inf\"}} {}\n{}_sum{{{}}} {:.17g}\n{}_count{{{}}} {}\n", name, labels,
                              below, name, labels, static_cast<double>(op.latency_ns) / 1e9, name, labels, below);
}

std::string latencies_text(const Samples& samples) {
    std::string text = head("vramswap_request_duration_seconds", "histogram",
                            "Time from a request's arrival to its end, by the kernel's clock.");
    for (const auto& [index, sample] : samples)
        for (std::size_t op = 0; op < sample.total.ops.size(); ++op)
            text += latency_text(op_label(sample, op), sample.total.ops.at(op));
    return text;
}

} // namespace

std::string metrics_text(const Samples& samples) {
    std::string text = head("vramswap_module_loaded", gauge, "Whether the module vramswap is loaded.");
    text += "vramswap_module_loaded 1\n";
    if (samples.empty())
        return text;
    text += info_text(samples) + state_text(samples);
    for (const Gauge& metric : gauges())
        text += gauge_text(metric, samples);
    text += op_text(samples, "vramswap_requests_total", "Requests completed.", &OpStats::requests);
    text += op_text(samples, "vramswap_request_bytes_total", "Bytes moved without an error.", &OpStats::bytes);
    text += op_text(samples, "vramswap_request_errors_total", "Requests that failed.", &OpStats::errors);
    return text + latencies_text(samples);
}

} // namespace vramswap::ctl
