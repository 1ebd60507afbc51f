// SPDX-License-Identifier: MIT
#include "vram.hpp"

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <string_view>

#include <fcntl.h>
#include <unistd.h>

namespace vramswap::fake_cuda {
namespace {

/// So much room for lengths: two TiB. The rest of an offset's 63 bits is for the GPU's name.
constexpr unsigned length_bits = 20;
constexpr unsigned name_bits = 42;

/// Where the locks of this process's GPU begin. (FNV-1a: the same in every program.)
std::uint64_t place() {
    const char* const name = std::getenv("VRAMSWAP_FAKE_CUDA_GPU");
    std::uint64_t hash = 0xcbf2'9ce4'8422'2325;
    for (const char letter : std::string_view(name != nullptr ? name : ""))
        hash = (hash ^ static_cast<unsigned char>(letter)) * 0x0000'0100'0000'01b3;
    return hash >> (64 - name_bits) << length_bits;
}

} // namespace

bool vram_take(int fd, std::size_t size) {
    struct flock lock{};
    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
    lock.l_start = static_cast<off_t>(place());
    lock.l_len = static_cast<off_t>(size / granule);
    return size / granule >> length_bits == 0 && ::fcntl(fd, F_OFD_SETLK, &lock) == 0;
}

std::size_t vram_taken() {
    std::ifstream locks("/proc/locks");
    if (!locks) {
        (void)std::fprintf(stderr, "fake libcuda: without /proc/locks it does not know what VRAM is taken\n");
        std::abort();
    }
    const std::uint64_t ours = place();
    std::size_t taken = 0;
    // "1: OFDLCK ADVISORY  WRITE -1 00:01:20625 2305843009218936832 2305843009218936834"
    for (std::string line; std::getline(locks, line);) {
        unsigned long long start = 0;
        unsigned long long end = 0;
        if (std::sscanf(line.c_str(), "%*u: OFDLCK %*s %*s %*d %*s %llu %llu", &start, &end) == 2 && start == ours)
            taken += (end - start + 1) * granule;
    }
    return taken;
}

} // namespace vramswap::fake_cuda
