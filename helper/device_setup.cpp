// SPDX-License-Identifier: MIT
#include "device_setup.hpp"

#include <cerrno>

#include "control.hpp"

namespace vramswap {
namespace {

std::optional<std::uint32_t> number(const std::optional<std::chrono::milliseconds>& time) {
    return time ? std::optional(static_cast<std::uint32_t>(time->count())) : std::nullopt;
}

Result<void> add(Control& control, const Config& config, const Log& log) {
    auto added = control.add({.index = config.device, .queues = config.queues});
    if (!added)
        return pass_on(added);
    log.info("made {} with {} queues", added->name, added->queues);
    return {};
}

Result<void> match_queues(Control& control, const DeviceInfo& device, const Config& config, const Log& log) {
    if (!config.queues || *config.queues == device.queues)
        return {};
    const auto deleted = device.state == VRAMSWAP_STATE_EMPTY ? control.del(device.index) : fail(EBUSY, "not empty");
    if (!deleted) {
        log.notice("{} is in use and stays with its {} queues; queues counts again when it is not", device.name,
                   device.queues);
        return {};
    }
    return add(control, config, log);
}

} // namespace

Result<void> device_setup(const Config& config, const Log& log) {
    const bool timeouts = config.hold_timeout || config.io_timeout;
    if (!config.configured && !config.queues && !timeouts)
        return {};
    auto control = Control::open();
    if (!control && control.error().code == ENOENT)
        return {};
    if (!control)
        return pass_on(control);
    const auto device = control->device(config.device);
    if (!device && (device.error().code != ENODEV || !config.configured))
        return std::unexpected(device.error());
    auto made = device ? match_queues(*control, *device, config, log) : add(*control, config, log);
    if (made && timeouts)
        made = control->set(config.device, {.hold_timeout_ms = number(config.hold_timeout),
                                            .io_timeout_ms = number(config.io_timeout)});
    return made;
}

bool device_was_silent(unsigned device) {
    auto control = Control::open();
    if (!control)
        return false;
    const auto info = control->device(device);
    return info && info->reason == ETIMEDOUT;
}

} // namespace vramswap
