// SPDX-License-Identifier: MIT
#include "programs.hpp"

#include <array>
#include <cerrno>
#include <cstdlib>

#include <dlfcn.h>

namespace vramswap::bench {
namespace {

using cuda::Code;

/// In PTX, as helper/cuda_kernels.cpp's.
///
/// bench_compute: eight multiplications and additions a round, each waiting for the one before, on numbers that stay
/// positive. The store of a negative one never happens, but the compiler does not know.
///
/// bench_fault: a store.
constexpr const char* program = R"(
    .version 6.3
    .target sm_75
    .address_size 64

    .visible .entry bench_compute(.param .u64 room, .param .u32 rounds)
    .maxntid 256, 1, 1
    {
        .reg .pred %p<3>;
        .reg .b32 %r<3>;
        .reg .f32 %f<4>;
        .reg .b64 %rd<2>;

        ld.param.u64 %rd1, [room];
        ld.param.u32 %r1, [rounds];
        mov.u32 %r2, %tid.x;
        cvt.rn.f32.u32 %f1, %r2;
        mov.f32 %f2, 0f3F000000;
        mov.f32 %f3, 0f3F800000;
    ROUND:
        fma.rn.f32 %f1, %f1, %f2, %f3;
        fma.rn.f32 %f1, %f1, %f2, %f3;
        fma.rn.f32 %f1, %f1, %f2, %f3;
        fma.rn.f32 %f1, %f1, %f2, %f3;
        fma.rn.f32 %f1, %f1, %f2, %f3;
        fma.rn.f32 %f1, %f1, %f2, %f3;
        fma.rn.f32 %f1, %f1, %f2, %f3;
        fma.rn.f32 %f1, %f1, %f2, %f3;
        sub.u32 %r1, %r1, 1;
        setp.ne.u32 %p1, %r1, 0;
        @%p1 bra ROUND;
        setp.ge.f32 %p2, %f1, 0f00000000;
        @%p2 bra DONE;
        st.global.f32 [%rd1], %f1;
    DONE:
        ret;
    }

    .visible .entry bench_fault(.param .u64 place)
    {
        .reg .b32 %r<2>;
        .reg .b64 %rd<2>;

        ld.param.u64 %rd1, [place];
        mov.u32 %r1, 1;
        st.global.u32 [%rd1], %r1;
        ret;
    }
)";

constexpr unsigned compute_threads = 256;

/// What tests/support/fake_cuda has and no driver: vramswapFakeArm.
using Arm = void (*)(const char* faults);

Arm arm_of(const std::string& libcuda) {
    void* const library = ::dlopen(libcuda.c_str(), RTLD_NOW | RTLD_LOCAL);
    return library == nullptr ? nullptr : reinterpret_cast<Arm>(::dlsym(library, "vramswapFakeArm"));
}

} // namespace

Result<std::unique_ptr<Programs>> Programs::make(const std::string& libcuda) {
    auto api = CudaApi::load(libcuda);
    if (!api)
        return pass_on(api);
    std::unique_ptr<Programs> programs(new Programs(*api));
    cuda::Module module = nullptr; // which the end of the context unloads
    Code code = api->ModuleLoadData(&module, program);
    if (code == Code::success)
        code = api->ModuleGetFunction(&programs->compute_, module, "bench_compute");
    if (code == Code::success)
        code = api->ModuleGetFunction(&programs->fault_, module, "bench_fault");
    if (code != Code::success)
        return fail(ENOTSUP, "the GPU does not take the bench's programs: {}", api->text(code));
    auto stream = CudaStream::make(programs->api_);
    if (!stream)
        return pass_on(stream);
    programs->stream_.emplace(std::move(*stream));
    return programs;
}

Code Programs::compute(unsigned blocks, std::uint32_t rounds, cuda::Address room) const {
    std::array<void*, 2> arguments{&room, &rounds};
    return api_.LaunchKernel(compute_, blocks, 1, 1, compute_threads, 1, 1, 0, stream(), arguments.data(), nullptr);
}

Code Programs::fault() const {
    cuda::Address nowhere = 16;
    std::array<void*, 1> arguments{&nowhere};
    const Code code = api_.LaunchKernel(fault_, 1, 1, 1, 1, 1, 1, 0, stream(), arguments.data(), nullptr);
    return code == Code::success ? wait() : code;
}

bool is_fake(const std::string& libcuda) {
    return arm_of(libcuda) != nullptr;
}

void break_fake(const std::string& libcuda) {
    const char* const faults = std::getenv("VRAMSWAP_FAKE_CUDA"); // NOLINT(concurrency-mt-unsafe): nobody sets it
    arm_of(libcuda)(
        fmt::format("{}{}sticky_at=20", faults != nullptr ? faults : "", faults != nullptr ? "," : "").c_str());
}

} // namespace vramswap::bench
