// SPDX-License-Identifier: MIT
#include "json.hpp"

#include "tally.hpp"
#include "words.hpp"

#include <fmt/format.h>

#include <cmath>
#include <cstring>

namespace vramswap::ctl {
namespace {

// Whole nanoseconds: the histogram knows no finer ones.
Json json_ns(std::optional<double> ns) {
    return ns ? Json(std::llround(*ns)) : Json(nullptr);
}

Json json_errno(int code) {
    const char* name = code == 0 ? nullptr : strerrorname_np(code);
    return name == nullptr ? Json(nullptr) : Json(name);
}

Json json_op(const OpStats& op) {
    const auto bound = latency_bound(op.latency);
    return {{"requests", op.requests},
            {"bytes", op.bytes},
            {"errors", op.errors},
            {"mean_ns", json_ns(latency_mean(op))},
            {"p50_ns", json_ns(latency_percentile(op.latency, 0.5))},
            {"p99_ns", json_ns(latency_percentile(op.latency, 0.99))},
            {"p999_ns", json_ns(latency_percentile(op.latency, 0.999))},
            {"all_below_ns", bound ? Json(*bound) : Json(nullptr)},
            {"latency_log2_ns", op.latency}};
}

Json json_queue(const QueueStats& queue) {
    Json operations;
    for (std::size_t op = 0; op < queue.ops.size(); ++op)
        operations[op_word(op)] = json_op(queue.ops[op]);
    return {{"doorbells", queue.doorbells}, {"enters", queue.enters},     {"waits", queue.waits},
            {"spins", queue.spins},         {"replayed", queue.replayed}, {"inflight", queue.inflight},
            {"operations", operations}};
}

Json json_flow(const Flow& flow) {
    return {{"pages_per_second", flow.pages_per_second},
            {"bytes_per_second", flow.bytes_per_second},
            {"p50_ns", json_ns(flow.p50_ns)},
            {"p99_ns", json_ns(flow.p99_ns)}};
}

} // namespace

Json json_device(const DeviceInfo& device) {
    return {{"name", device.name},
            {"index", device.index},
            {"state", state_word(device.state)},
            {"size", device.capacity},
            {"used", device.used},
            {"engine", engine_word(device.label).empty() ? Json(nullptr) : Json(engine_word(device.label))},
            {"store", device.label},
            {"helper_pid", device.helper_pid == 0 ? Json(nullptr) : Json(device.helper_pid)},
            {"openers", device.openers},
            {"reason", json_errno(device.reason)},
            {"queues", device.queues},
            {"slots", device.slots},
            {"slot_size", device.slot_size},
            {"hold_timeout_ms", device.hold_timeout_ms},
            {"io_timeout_ms", device.io_timeout_ms},
            {"cookie", device.cookie == 0 ? Json(nullptr) : Json(fmt::format("{:#018x}", device.cookie))}};
}

Json json_status(const DeviceInfo& device, const OpStats& reads_and_writes, const std::optional<SwapArea>& swap,
                 const std::optional<Rates>& rates) {
    Json json = json_device(device);
    json["p50_ns"] = json_ns(latency_percentile(reads_and_writes.latency, 0.5));
    json["p99_ns"] = json_ns(latency_percentile(reads_and_writes.latency, 0.99));
    json["gpu"] = engine_word(device.label) == "cuda" ? Json(device.label) : Json(nullptr);
    if (rates) {
        json["out_bytes_per_second"] = rates->out.bytes_per_second;
        json["in_bytes_per_second"] = rates->in.bytes_per_second;
    }
    json["swap"] = nullptr;
    if (swap)
        json["swap"] = {{"size", swap->size}, {"used", swap->used}, {"priority", swap->priority}};
    return json;
}

Json json_stats(const DeviceInfo& device, std::span<const QueueStats> queues, bool each_queue) {
    Json json{{"name", device.name}, {"index", device.index}};
    json.update(json_queue(queue_total(queues)));
    if (!each_queue)
        return json;
    json["queues"] = Json::array();
    for (const QueueStats& queue : queues) {
        Json one{{"queue", queue.index}};
        one.update(json_queue(queue));
        json["queues"].push_back(std::move(one));
    }
    return json;
}

Json json_rates(const DeviceInfo& device, const Rates& rates, const std::optional<SwapArea>& swap,
                const std::string& time) {
    return {{"time", time},
            {"name", device.name},
            {"state", state_word(device.state)},
            {"used", device.used},
            {"swap_used", swap ? Json(swap->used) : Json(nullptr)},
            {"seconds", rates.seconds},
            {"out", json_flow(rates.out)},
            {"in", json_flow(rates.in)},
            {"errors", rates.errors}};
}

Json json_event(const Event& event, const std::string& time) {
    return {{"time", time},
            {"name", event.device.name},
            {"event", event_word(event.kind)},
            {"sentence", event_sentence(event)},
            {"device", json_device(event.device)}};
}

std::string json_line(const Json& json) {
    return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

} // namespace vramswap::ctl
