// SPDX-License-Identifier: MIT
#pragma once

#include "shared.hpp"

namespace fuzz {

/// Reads and writes the block device until the end, as a user of it would, and looks at each word that it gets: it must
/// come from a witness, or from a helper of this moment. Never a word of an earlier session's staging memory, of fresh
/// memory, or of anything else in the kernel. Errors are allowed, hanging is not.
void witness(unsigned device, std::uint64_t seed, Counts& counts);

} // namespace fuzz
