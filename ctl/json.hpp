// SPDX-License-Identifier: MIT
// The same facts for programs: one JSON object a line, sizes in bytes, times in ns or as their names say. Pure.
#pragma once

#include "control.hpp"
#include "parse.hpp"
#include "rates.hpp"

#include <nlohmann/json.hpp>

#include <optional>
#include <span>
#include <string>

namespace vramswap::ctl {

using Json = nlohmann::ordered_json;

Json json_device(const DeviceInfo& device);
Json json_status(const DeviceInfo& device, const OpStats& reads_and_writes, const std::optional<SwapArea>& swap,
                 const std::optional<Rates>& rates = {});
Json json_stats(const DeviceInfo& device, std::span<const QueueStats> queues, bool each_queue);
Json json_rates(const DeviceInfo& device, const Rates& rates, const std::optional<SwapArea>& swap,
                const std::string& time);
Json json_event(const Event& event, const std::string& time);

/// One line, with its end. Text that is no UTF-8 is mended, never refused.
std::string json_line(const Json& json);

} // namespace vramswap::ctl
