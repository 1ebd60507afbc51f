// SPDX-License-Identifier: MIT
#include "words.hpp"

#include "format.hpp"

#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <span>

namespace vramswap::ctl {
namespace {

struct Word {
    std::uint32_t number;
    const char* word;
};

std::string find_word(std::span<const Word> words, std::uint32_t number, const char* what) {
    for (const Word& word : words)
        if (word.number == number)
            return word.word;
    return fmt::format("{} {}", what, number);
}

std::string held_sentence(const DeviceInfo& device) {
    return fmt::format("helper lost: {}; requests wait at most {} for one that still has the contents",
                       reason_words(device.reason), format_seconds(device.hold_timeout_ms));
}

std::string failed_sentence(const DeviceInfo& device) {
    return fmt::format("contents lost: {}, and no helper brought them back in time; requests fail from now on",
                       reason_words(device.reason));
}

std::string live_sentence(const DeviceInfo& device) {
    return fmt::format("serves {} from {} (helper {})", format_size(device.capacity),
                       device.label.empty() ? "its helper's store" : printable(device.label), device.helper_pid);
}

} // namespace

std::string state_word(std::uint32_t state) {
    static constexpr std::array<Word, 5> words{{{VRAMSWAP_STATE_EMPTY, "empty"},
                                                {VRAMSWAP_STATE_ATTACHED, "attached"},
                                                {VRAMSWAP_STATE_LIVE, "live"},
                                                {VRAMSWAP_STATE_HELD, "held"},
                                                {VRAMSWAP_STATE_FAILED, "failed"}}};
    return find_word(words, state, "state");
}

std::string event_word(std::uint32_t event) {
    static constexpr std::array<Word, 8> words{{{VRAMSWAP_EVENT_ATTACHED, "attached"},
                                                {VRAMSWAP_EVENT_LIVE, "live"},
                                                {VRAMSWAP_EVENT_HELD, "held"},
                                                {VRAMSWAP_EVENT_FAILED, "failed"},
                                                {VRAMSWAP_EVENT_STOPPED, "stopped"},
                                                {VRAMSWAP_EVENT_RESIZED, "resized"},
                                                {VRAMSWAP_EVENT_ADDED, "added"},
                                                {VRAMSWAP_EVENT_DELETED, "deleted"}}};
    return find_word(words, event, "event");
}

std::string engine_word(const std::string& label) {
    if (label.empty())
        return "";
    return label.starts_with("host") ? "host" : "cuda";
}

const char* op_word(std::size_t op) {
    static constexpr std::array<const char*, VRAMSWAP_STAT_OPS> words{"read", "write", "zeroes", "discard"};
    return op < words.size() ? words[op] : "?";
}

std::string reason_words(int reason) {
    switch (reason) {
    case 0:
        return "no reason given";
    case EBADMSG:
        return "it broke the ring's rules";
    case ETIMEDOUT:
        return "it was silent for too long";
    case ESHUTDOWN:
        return "it ended";
    case ESTALE:
        return "it came too late";
    case ENODEV:
        return "the device was deleted";
    default:
        return errno_text(reason);
    }
}

std::string survivor_sentence(const DeviceInfo& device) {
    return fmt::format(
        "swap is off and vramswap@{0}.service stopped, but vramswap{0} is still live: its helper, process "
        "{1}, was not started by systemd, and keeps its memory. To end it: kill {1}",
        device.index, device.helper_pid);
}

std::string event_sentence(const Event& event) {
    switch (event.kind) {
    case VRAMSWAP_EVENT_ATTACHED:
        return fmt::format("helper {} prepares {}", event.device.helper_pid, format_size(event.device.capacity));
    case VRAMSWAP_EVENT_LIVE:
        return live_sentence(event.device);
    case VRAMSWAP_EVENT_HELD:
        return held_sentence(event.device);
    case VRAMSWAP_EVENT_FAILED:
        return failed_sentence(event.device);
    case VRAMSWAP_EVENT_STOPPED:
        return "holds nothing now";
    case VRAMSWAP_EVENT_RESIZED:
        return fmt::format("now holds {}", format_size(event.device.capacity));
    case VRAMSWAP_EVENT_ADDED:
        return fmt::format("made, with {} queues of {} slots", event.device.queues, event.device.slots);
    case VRAMSWAP_EVENT_DELETED:
        return "gone";
    default:
        return "something that this vramswapctl does not know";
    }
}

} // namespace vramswap::ctl
