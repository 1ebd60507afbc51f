// SPDX-License-Identifier: MIT
// The fake libcuda as tests use it.
#pragma once

#include <cstdlib>
#include <random>
#include <string>

#include <dlfcn.h>

#include <helper/cuda_api.hpp>

namespace vramswap::test {

inline constexpr const char* fake_library = FAKE_CUDA;

/// This program and the processes that it forks have a GPU of their own, which tests that run beside it do not see.
inline const bool own_gpu = [] {
    const std::string name = "test " + std::to_string(std::random_device()());
    return ::setenv("VRAMSWAP_FAKE_CUDA_GPU", name.c_str(), 1) == 0; // NOLINT(concurrency-mt-unsafe): before any thread
}();

/// The fake driver's extra functions; the library stays loaded.
class Fake {
public:
    explicit Fake(const std::string& faults = {}) {
        // The next cuInit reads it. Tests run one after the other.
        (void)::setenv("VRAMSWAP_FAKE_CUDA", faults.c_str(), 1); // NOLINT(concurrency-mt-unsafe)
    }
    Fake(const Fake&) = delete;
    Fake& operator=(const Fake&) = delete;
    Fake(Fake&&) = delete;
    Fake& operator=(Fake&&) = delete;
    ~Fake() { (void)::unsetenv("VRAMSWAP_FAKE_CUDA"); } // NOLINT(concurrency-mt-unsafe)

    /// Other faults, from now on. Counts from zero.
    void arm(const std::string& faults) const { call<void (*)(const char*)>("vramswapFakeArm")(faults.c_str()); }
    void mark() const { call<void (*)()>("vramswapFakeMark")(); }

    /// What was called since the mark.
    [[nodiscard]] std::string called() const { return call<const char* (*)()>("vramswapFakeCalled")(); }
    [[nodiscard]] unsigned long long calls(const char* name) const {
        return call<unsigned long long (*)(const char*)>("vramswapFakeCalls")(name);
    }

    /// What this process has made and not unmade, in words.
    [[nodiscard]] std::string left() const { return call<const char* (*)()>("vramswapFakeLeft")(); }

private:
    template<class Function>
    [[nodiscard]] Function call(const char* name) const {
        return reinterpret_cast<Function>(::dlsym(library_, name));
    }

    void* library_ = ::dlopen(fake_library, RTLD_NOW | RTLD_LOCAL);
};

} // namespace vramswap::test
