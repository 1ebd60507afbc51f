// SPDX-License-Identifier: MIT
// vramswapctl start, stop: a device's service, by way of systemd.
#include "commands.hpp"
#include "program.hpp"
#include "settings.hpp"
#include "words.hpp"

#include <fmt/format.h>

#include <cerrno>

#include <unistd.h>

namespace vramswap::ctl {
namespace {

Result<void> systemctl(const char* verb, std::uint32_t device) {
    const std::string unit = fmt::format("vramswap@{}.service", device);
    if (auto done = run_program({"systemctl", verb, unit}); !done)
        return fail(done.error().code, "systemctl {} {}: {}; journalctl -u {} tells more", verb, unit,
                    done.error().message, unit);
    return {};
}

/// Where systemd runs this folder is there, whatever else is (sd_booted(3)).
Result<void> need_systemd(std::string_view instead) {
    if (::access("/run/systemd/system", F_OK) == 0)
        return {};
    return fail(ENOSYS, "systemd does not run here; instead: {}", instead);
}

/// A helper that systemd did not start serves on.
Result<void> check_ended(std::uint32_t index) {
    auto control = Control::open();
    if (!control)
        return {};
    const auto device = control->device(index);
    if (!device || device->state != VRAMSWAP_STATE_LIVE)
        return {};
    return fail(EBUSY, "{}", survivor_sentence(*device));
}

} // namespace

Result<void> run_start(const StartCommand& command) {
    const std::uint32_t n = command.device;
    if (const auto config = settings_read(n, {}); !config)
        return std::unexpected(config.error());
    return in_turn(
        [n] { return need_systemd(fmt::format("vramswapd --device {} &, then vramswapctl swap-on {}", n, n)); },
        [n] { return systemctl("start", n); });
}

Result<void> run_stop(const StopCommand& command) {
    const std::uint32_t n = command.device;
    return in_turn(
        [n] { return need_systemd(fmt::format("vramswapctl swap-off {}, then end vramswapd (SIGTERM)", n)); },
        [n] { return run_swap_off({.device = n}); }, // which systemd could not refuse any more
        [n] { return systemctl("stop", n); }, [n] { return check_ended(n); });
}

} // namespace vramswap::ctl
