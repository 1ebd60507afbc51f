// SPDX-License-Identifier: MIT
#include "catch.hpp"

#include <cerrno>
#include <csignal>
#include <string>

#include <sys/wait.h>
#include <unistd.h>

#include "cuda_fake.hpp"

using namespace vramswap;
using namespace vramswap::test;

namespace {

/// Why the driver is not to be had with these faults.
Error refusal(const std::string& faults, const char* library = fake_library) {
    const Fake fake(faults);
    const auto api = CudaApi::load(library);
    REQUIRE(!api.has_value());
    INFO(api.error().message);
    return api.error();
}

bool says(const Error& error, const char* what) {
    return error.message.find(what) != std::string::npos;
}

} // namespace

TEST_CASE("the driver is found, in a version that it says") {
    const Fake fake("version=12040");
    const auto api = CudaApi::load(fake_library);
    REQUIRE(api.has_value());
    REQUIRE(api->version() == 12040);
}

TEST_CASE("a driver before CUDA 12 is found by its symbols") {
    const Fake fake("version=11070");
    const auto api = CudaApi::load(FAKE_CUDA_OLD);
    REQUIRE(api.has_value());
    int count = 0;
    REQUIRE(api->DeviceGetCount(&count) == cuda::Code::success);
    REQUIRE(count == 1);
}

TEST_CASE("a missing driver, one too old, and one without a GPU are told apart") {
    const Error missing = refusal("", "libcuda-no-such-driver.so.1");
    REQUIRE(missing.code == ENOENT);
    REQUIRE(says(missing, "libcuda-no-such-driver.so.1"));
    REQUIRE(says(missing, "no NVIDIA driver"));
    const Error no_device = refusal("no_device=1");
    REQUIRE(no_device.code == ENODEV);
    REQUIRE(says(no_device, "nvidia-smi"));
    const Error old = refusal("version=10020");
    REQUIRE(old.code == ENOSYS);
    REQUIRE(says(old, "CUDA 10.2"));
    REQUIRE(says(old, "cuDeviceGetUuid"));
    REQUIRE(says(old, "515"));
    const Error lacking = refusal("missing=cuStreamWriteValue32");
    REQUIRE(lacking.code == ENOSYS);
    REQUIRE(says(lacking, "cuStreamWriteValue32"));
    const Error mismatch = refusal("init_error=803");
    REQUIRE(mismatch.code == EIO);
    REQUIRE(says(mismatch, "reboot"));
    const Error broken = refusal("init_error=999");
    REQUIRE(broken.code == EIO);
    REQUIRE(says(broken, "CUDA_ERROR_UNKNOWN (999)"));
}

TEST_CASE("a library that is no driver is refused") {
    const Error error = refusal("", "libm.so.6");
    REQUIRE(error.code == ENOSYS);
    REQUIRE(says(error, "cuDriverGetVersion"));
}

TEST_CASE("errors have names, or at least numbers") {
    const Fake fake;
    const auto api = CudaApi::load(fake_library);
    REQUIRE(api.has_value());
    REQUIRE(api->text(cuda::Code::out_of_memory) == "CUDA_ERROR_OUT_OF_MEMORY (2)");
    REQUIRE(api->text(cuda::Code(4711)) == "CUDA error 4711");
}

TEST_CASE("the fake cannot be taken for a GPU, and says so") {
    const Fake fake;
    const auto api = CudaApi::load(fake_library);
    REQUIRE(api.has_value());
    std::string name(100, '\0');
    REQUIRE(api->DeviceGetName(name.data(), 100, 0) == cuda::Code::success);
    REQUIRE(name.starts_with("FAKE GPU (vramswap test double, host memory)"));
}

TEST_CASE("the fake ends a process whose faults it does not understand") {
    for (const char* const faults :
         {"latency=20", "latency_us", "latency_us=", "latency_us=2x", "error_at=1:x", ",,"}) {
        const pid_t child = ::fork();
        if (child == 0) {
            (void)std::signal(SIGABRT, SIG_DFL); // not Catch2's
            const Fake fake(faults);
            const auto api = CudaApi::load(fake_library);
            ::_exit(api.has_value() ? 1 : 2);
        }
        int status = 0;
        REQUIRE(::waitpid(child, &status, 0) == child);
        INFO(faults);
        REQUIRE(WIFSIGNALED(status));
        REQUIRE(WTERMSIG(status) == SIGABRT);
    }
}
