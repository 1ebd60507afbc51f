// SPDX-License-Identifier: MIT
#include "sample.hpp"

#include "tally.hpp"
#include "terminal.hpp"

#include <cerrno>
#include <utility>

namespace vramswap::ctl {

Result<Samples> look(Control& control, std::optional<std::uint32_t> device) {
    auto devices = choose_devices(control, device);
    if (!devices)
        return pass_on(devices);
    Samples samples;
    const auto swaps = read_swaps();
    for (DeviceInfo& info : *devices) {
        auto queues = control.stats(info.index);
        if (!queues && queues.error().code == ENODEV && !device)
            continue; // deleted since the list was made
        if (!queues)
            return pass_on(queues);
        const std::uint32_t index = info.index;
        const QueueStats total = queue_total(*queues);
        samples[index] = {.device = std::move(info),
                          .queues = std::move(*queues),
                          .total = total,
                          .swap = find_swap(swaps, index),
                          .when = std::chrono::steady_clock::now()};
    }
    return samples;
}

Rates rates_since(const Sample& now, const Sample& before) {
    return rates_between(now.total, before.total, std::chrono::duration<double>(now.when - before.when).count());
}

} // namespace vramswap::ctl
