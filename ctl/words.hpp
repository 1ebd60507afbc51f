// SPDX-License-Identifier: MIT
// The kernel's numbers in words. Pure.
#pragma once

#include "control.hpp"

#include <cstddef>
#include <cstdint>
#include <string>

namespace vramswap::ctl {

/// One word; a number that this program does not know becomes "state 9", "event 9".
std::string state_word(std::uint32_t state);
std::string event_word(std::uint32_t event);

/// "cuda" or "host", by what a helper calls its store (HostEngine::label, CudaEngine::label); empty if it is nothing.
std::string engine_word(const std::string& label);

/// Of enum vramswap_stat_op: "read", "write", "zeroes", "discard".
const char* op_word(std::size_t op);

/// Why a helper was lost: "it ended", "it broke the ring's rules", …
std::string reason_words(int reason);

/// That a device is live though its service is stopped, and what to do.
std::string survivor_sentence(const DeviceInfo& device);

/// What happened to the device and what it means, without the device's name.
std::string event_sentence(const Event& event);

} // namespace vramswap::ctl
