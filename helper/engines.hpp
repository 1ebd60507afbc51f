// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "config.hpp"
#include "engine.hpp"
#include "error.hpp"
#include "log.hpp"
#include "session_state.hpp"

namespace vramswap::engines {

/// In the keeper, before it locks its memory: has the driver's library in RAM, since a worker may have to load it when
/// no other page can be had. Does nothing where it is not there or not wanted.
void preload(const Config& config);

/// The engine that the user wants for new contents, or the best there is; notes in `record` which it is, and how many
/// bytes they get. `vram_taken`: bytes of VRAM that contents still take which are about to be let go of.
[[nodiscard]] Result<std::unique_ptr<Engine>> make(const Config& config, Record& record, std::uint64_t vram_taken,
                                                   const Log& log);

/// The engine for a predecessor's contents, wherever they are.
[[nodiscard]] Result<std::unique_ptr<Engine>> resume(const Config& config, const Record& record, const Log& log);

/// May the bytes go to host memory instead, since a GPU failed before it held any? Says so, or, if the user wants that
/// GPU, what else there is.
[[nodiscard]] Result<void> fall_back(Config& config, const Record& record, const Error& why, const Log& log);

/// Overwrites contents in VRAM that nobody wants any more. Says if it could not. Takes them, and their checksums, out
/// of `inherited`.
void erase(const Record& record, std::vector<InheritedFd>& inherited, const Log& log);

/// The name of what an engine keeps its bytes by, where it does not find them by a path.
[[nodiscard]] std::string_view memory_name(EngineChoice engine);

/// Is a descriptor that was kept under this name one of a GPU's memory?
[[nodiscard]] bool is_vram(const std::string& name);

} // namespace vramswap::engines
