// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <helper/cuda_engine.hpp>

namespace vramswap::bench {

/// What all of the bench works with.
struct Setting {
    std::string libcuda = CudaApi::library_name;
    std::string gpu;              ///< as for cuda_device_choose
    std::optional<CudaPath> path; ///< as for CudaEngine::make
    std::uint64_t capacity = 1ULL << 30;
    std::chrono::milliseconds time{1000}; ///< of each load
    unsigned queues = 2;
};

enum class Verdict : std::uint8_t { ok, failed, skipped };

struct Finding {
    std::string name;
    Verdict verdict = Verdict::ok;
    std::string text; ///< figures, or why
};

/// An engine with new contents, or with none if `capacity` is 0. Error ENOTSUP if this GPU or driver lacks the path.
[[nodiscard]] Result<std::unique_ptr<CudaEngine>> make_cuda(const Setting& setting, std::uint64_t capacity);

/// Random requests of random lengths against a model of every byte.
[[nodiscard]] Finding check_every_byte(const Setting& setting);

/// A process is killed with SIGKILL; another finds every byte through the descriptors that were kept.
[[nodiscard]] Finding check_killed(const Setting& setting);

/// No I/O thread enters the kernel but to sleep, as it would without a GPU: system calls, counted with ptrace.
[[nodiscard]] Finding check_system_calls(const Setting& setting);

/// The driver takes memory that is mapped into this process as the kernel module maps it (vm_insert_pages; here that of
/// a packet socket's ring). Needs CAP_NET_RAW.
[[nodiscard]] Finding check_registration(const Setting& setting);

/// From nothing to serving.
[[nodiscard]] Finding check_start(const Setting& setting);

} // namespace vramswap::bench
