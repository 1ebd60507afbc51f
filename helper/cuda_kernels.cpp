// SPDX-License-Identifier: MIT
#include "cuda_kernels.hpp"

#include <algorithm>
#include <cerrno>

namespace vramswap {
namespace {

using cuda::Code;

/// In PTX, the assembly language that every driver compiles for the GPU that it finds. Version 6.3 came with CUDA 10.0
/// and compute capability 7.5. tests/ptx assembles it where NVIDIA's ptxas is at hand.
///
/// vramswap_copy: block (x, y) copies step y of piece x, one load and one store of sixteen bytes for each thread. So
/// all that the batch has to read is asked for at once, which is what it takes to keep a bus busy that answers late.
///
/// vramswap_poll: block b looks at entries b, b + blocks, b + 2 * blocks and so on, in a circle. Its first thread waits
/// until an entry's turn is the one that is next (acquire: what was written before is seen), the barrier lets the
/// others know, all copy, and when all have (the barrier again), the first writes the turn to the answers (release: who
/// sees that sees the bytes). Entries are read around the caches for the same memory says new things each turn.
constexpr const char* program = R"(
    .version 6.3
    .target sm_75
    .address_size 64

    .visible .entry vramswap_copy(.param .align 8 .b8 pieces[1536])
    .maxntid 256, 1, 1
    {
        .reg .pred %p<2>;
        .reg .b32 %r<12>;
        .reg .b64 %rd<10>;

        mov.u32 %r1, %ctaid.x;
        mul.wide.u32 %rd1, %r1, 24;
        mov.b64 %rd2, pieces;
        add.s64 %rd3, %rd2, %rd1;
        ld.param.u64 %rd4, [%rd3];
        ld.param.u64 %rd5, [%rd3+8];
        ld.param.u32 %r2, [%rd3+16];

        mov.u32 %r3, %ctaid.y;
        mov.u32 %r4, %tid.x;
        shl.b32 %r5, %r3, 12;
        shl.b32 %r6, %r4, 4;
        add.s32 %r7, %r5, %r6;
        setp.ge.u32 %p1, %r7, %r2;
        @%p1 bra DONE;

        cvt.u64.u32 %rd6, %r7;
        add.s64 %rd7, %rd4, %rd6;
        add.s64 %rd8, %rd5, %rd6;
        ld.global.v4.u32 {%r8, %r9, %r10, %r11}, [%rd7];
        st.global.v4.u32 [%rd8], {%r8, %r9, %r10, %r11};
    DONE:
        ret;
    }

    .visible .entry vramswap_poll(.param .u64 mailbox, .param .u64 answers, .param .u32 entries)
    .maxntid 512, 1, 1
    {
        .reg .pred %p<8>;
        .reg .b32 %r<20>;
        .reg .b64 %rd<16>;

        ld.param.u64 %rd1, [mailbox];
        ld.param.u64 %rd2, [answers];
        ld.param.u32 %r1, [entries];
        mov.u32 %r2, %ctaid.x;
        mov.u32 %r3, %nctaid.x;
        mov.u32 %r4, %tid.x;
        mov.u32 %r5, 1;
        setp.ne.u32 %p1, %r4, 0;
        shl.b32 %r6, %r4, 4;

    ENTRY:
        mul.wide.u32 %rd3, %r2, 24;
        add.s64 %rd4, %rd1, %rd3;
        @%p1 bra COME;
    WAIT:
        ld.acquire.sys.global.u32 %r7, [%rd4+20];
        setp.ne.u32 %p2, %r7, %r5;
        @%p2 bra WAIT;
    COME:
        bar.sync 0;
        ld.relaxed.sys.global.u64 %rd5, [%rd4];
        ld.relaxed.sys.global.u64 %rd6, [%rd4+8];
        ld.relaxed.sys.global.u32 %r8, [%rd4+16];
        setp.eq.u32 %p3, %r8, 0xffffffff;
        @%p3 bra STOP;

        mov.u32 %r9, %r6;
    STEP:
        setp.ge.u32 %p4, %r9, %r8;
        @%p4 bra COPIED;
        cvt.u64.u32 %rd7, %r9;
        add.s64 %rd8, %rd5, %rd7;
        add.s64 %rd9, %rd6, %rd7;
        ld.global.v4.u32 {%r10, %r11, %r12, %r13}, [%rd8];
        st.global.v4.u32 [%rd9], {%r10, %r11, %r12, %r13};
        add.s32 %r9, %r9, 8192;
        bra STEP;
    COPIED:
        bar.sync 0;
        @%p1 bra NEXT;
        mul.wide.u32 %rd10, %r2, 4;
        add.s64 %rd11, %rd2, %rd10;
        st.release.sys.global.u32 [%rd11], %r5;
    NEXT:
        add.s32 %r2, %r2, %r3;
        setp.lt.u32 %p5, %r2, %r1;
        @%p5 bra ENTRY;
        sub.s32 %r2, %r2, %r1;
        add.s32 %r5, %r5, 1;
        bra ENTRY;
    STOP:
        ret;
    }
)";
static_assert(sizeof(cuda::Pieces) == 1536 && cuda::copy_threads == 256 && cuda::copy_step == 1U << 12 &&
              cuda::poll_threads == 512);

} // namespace

Result<CudaKernels> CudaKernels::make(const CudaApi& api) {
    cuda::Module module = nullptr;
    if (const Code code = api.ModuleLoadData(&module, program); code != Code::success)
        return fail(ENOTSUP, "the GPU does not take programs for compute capability 7.5: {}", api.text(code));
    CudaKernels kernels(api, module);
    Code code = api.ModuleGetFunction(&kernels.copy_, module, "vramswap_copy");
    if (code == Code::success)
        code = api.ModuleGetFunction(&kernels.poll_, module, "vramswap_poll");
    if (code != Code::success)
        return fail(ENOTSUP, "the GPU's programs lack a function: {}", api.text(code));
    return kernels;
}

Code CudaKernels::copy(cuda::Stream stream, cuda::Pieces& pieces, unsigned count,
                       std::uint32_t longest) const noexcept {
    std::array<void*, 1> arguments{&pieces};
    const unsigned steps = std::max(1U, (longest + cuda::copy_step - 1) / cuda::copy_step);
    return api_.LaunchKernel(copy_, count, steps, 1, cuda::copy_threads, 1, 1, 0, stream, arguments.data(), nullptr);
}

Code CudaKernels::poll(cuda::Stream stream, cuda::Address mailbox, cuda::Address answers, unsigned entries,
                       unsigned blocks) const noexcept {
    std::array<void*, 3> arguments{&mailbox, &answers, &entries};
    return api_.LaunchKernel(poll_, blocks, 1, 1, cuda::poll_threads, 1, 1, 0, stream, arguments.data(), nullptr);
}

} // namespace vramswap
