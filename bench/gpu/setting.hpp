// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include <helper/cuda_engine.hpp>

#include "kernel_half.hpp"

namespace vramswap::bench {

/// What all of the bench works with.
struct Setting {
    std::string libcuda = CudaApi::library_name;
    std::string gpu;              ///< as for cuda_device_choose
    std::optional<CudaPath> path; ///< as for CudaEngine::make
    bool checksums = false;       ///< as the helper keeps them where a GPU corrects no errors
    std::uint64_t capacity = 1ULL << 30;
    std::chrono::milliseconds time{1000}; ///< of each load
    unsigned queues = 2;
};

inline constexpr unsigned max_queues = 8;

/// As people know it: what --cuda-path says, or "auto" where it says nothing.
[[nodiscard]] inline std::string path_text(const std::optional<CudaPath>& path) {
    return std::string(path ? name_of(*path) : "auto");
}

/// The same for people who read figures.
[[nodiscard]] inline std::string engine_text(const Setting& setting) {
    return "cuda " + path_text(setting.path) + (setting.checksums ? " with checksums" : "");
}

enum class Verdict : std::uint8_t { ok, failed, skipped };

/// What came of a check.
struct Finding {
    std::string name;
    Verdict verdict = Verdict::ok;
    std::string text; ///< figures, or why
    /// Of a process that took contents over: how long until it was ready to serve. 0: it never was.
    std::optional<std::uint64_t> ready_ms{};
};

/// The name of a check that is made once for each path.
[[nodiscard]] inline std::string by_path(const Setting& setting, const char* name) {
    return std::string(name) + " (" + path_text(setting.path) + ")";
}

/// The finding of a check that did not come to its end. A path that there is not is no failure.
[[nodiscard]] Finding not_ok(std::string name, const Error& error);

/// A session for checks, with slots as the module has them by default.
[[nodiscard]] test::Shape shape_of(const Setting& setting, std::uint64_t capacity);

/// An engine with new contents, or with none if `capacity` is 0. Error ENOTSUP if this GPU or driver lacks the path.
[[nodiscard]] Result<std::unique_ptr<CudaEngine>> make_cuda(const Setting& setting, std::uint64_t capacity);

} // namespace vramswap::bench
