// SPDX-License-Identifier: MIT
// What goes wrong in the fake driver, as VRAMSWAP_FAKE_CUDA says: "word=value,word=value". (VRAMSWAP_FAKE_CUDA_GPU is
// vram.hpp's.)
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

#include <helper/cuda_types.hpp>

namespace vramswap::fake_cuda {

inline constexpr std::uint64_t never = std::numeric_limits<std::uint64_t>::max();

/// Something at the n-th of what is counted (from 1 on), with an error code where there is one.
struct At {
    std::uint64_t n = never;
    cuda::Code code = cuda::Code::success;
};

/// A function, and an error code for it.
struct Call {
    std::string name; ///< "cuMemMap", whatever its version
    cuda::Code code = cuda::Code::success;
};

struct Faults {
    unsigned latency_us = 0;          ///< before each operation in a stream
    bool reorder = false;             ///< streams dawdle, each at random
    std::uint64_t oom_after = never;  ///< so many cuMemCreate succeed
    At error_at;                      ///< N:CODE, an asynchronous call that is refused, once
    At sticky_at;                     ///< N:CODE (700), an operation that breaks the context
    At lost_at;                       ///< N:CODE (719), an operation that loses GPU and contents
    At blank_at;                      ///< N:CODE (719), as lost_at, but the memory is there again, all zero
    Call fail;                        ///< NAME:CODE (999), a function that does nothing but answer so
    std::string block;                ///< NAME, a function that does not return
    std::uint64_t hang_at = never;    ///< N, an operation that never ends
    std::uint64_t bitflip_at = never; ///< N, from which on the first copy stores a wrong bit
    bool refuse_register = false;     ///< cuMemHostRegister
    bool refuse_import = false;       ///< cuMemImportFromShareableHandle
    int version = 12080;              ///< of the API
    bool no_device = false;           ///< cuInit finds none
    cuda::Code init_error{};          ///< CODE of cuInit
    bool busy = false;                ///< another process has the GPU for itself
    bool prohibited = false;          ///< nobody may have it
    std::string missing;              ///< a function that cuGetProcAddress does not know
    int devices = 1;
    std::uint64_t vram_mib = 256;
    bool no_virtual_memory = false; ///< as devices without cuMemMap
    bool no_posix_fds = false;      ///< as devices that cannot export memory
    bool integrated = false;
    int processors = 16;         ///< each runs one block of threads
    bool invalid_copies = false; ///< each copy is refused as invalid, alone and in batches
    bool refuse_batch = false;   ///< cuMemcpyBatchAsync, with not_supported
    bool refuse_kernel = false;  ///< cuLaunchKernel, the same
    bool display = false;        ///< programs on it are ended after some seconds
    bool ecc = false;            ///< its memory corrects errors, says the driver
    bool old_model = false;      ///< it takes no program of ours
};

/// Ends the process with a message on an unknown word or a value that is none.
[[nodiscard]] Faults parse_faults(std::string_view text);

} // namespace vramswap::fake_cuda
