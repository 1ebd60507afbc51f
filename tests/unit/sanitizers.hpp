// SPDX-License-Identifier: MIT
#pragma once

namespace vramswap::test {

/// By what tests that repeat themselves divide their rounds, where a sanitizer makes each ten times as long.
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
inline constexpr unsigned slowdown_of_sanitizers = 10;
#else
inline constexpr unsigned slowdown_of_sanitizers = 1;
#endif

} // namespace vramswap::test
