// SPDX-License-Identifier: MIT
// vramswapctl events: what happens to devices, as it happens.
#include "commands.hpp"
#include "format.hpp"
#include "json.hpp"
#include "terminal.hpp"
#include "words.hpp"

#include <fmt/format.h>

#include <cstdio>

#include <cerrno>

namespace vramswap::ctl {
namespace {

std::string event_text(const Event& event, bool json) {
    if (json)
        return json_line(json_event(event, timestamp_now()));
    return fmt::format("{} {} {:<8} {}\n", date_now(), printable(event.device.name), event_word(event.kind),
                       event_sentence(event));
}

} // namespace

Result<void> run_events(const EventsCommand& command) {
    auto stream = EventStream::open();
    if (!stream)
        return pass_on(stream);
    for (;;) {
        auto event = stream->next();
        if (!event && event.error().code != ENOBUFS)
            return pass_on(event);
        if (!event) {
            static_cast<void>(std::fputs("vramswapctl: events came too fast: some were lost\n", stderr));
            continue;
        }
        if (auto printed = print(event_text(*event, command.json)); !printed)
            return printed;
    }
}

} // namespace vramswap::ctl
