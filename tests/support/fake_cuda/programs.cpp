// SPDX-License-Identifier: MIT
#include "programs.hpp"

#include <algorithm>
#include <cstring>

#include <helper/cuda_piece.hpp>

#include "enter.hpp"
#include "gpu.hpp"

using namespace vramswap::cuda;
using vramswap::fake_cuda::begin;
using vramswap::fake_cuda::enter_context;
using vramswap::fake_cuda::enter_stream;
using vramswap::fake_cuda::Gpu;
using vramswap::fake_cuda::Operation;

namespace {

/// May something be given to the stream? Counts it.
Code admit_to(const char* name, Stream stream) {
    const Code code = enter_stream(name, stream);
    return code == Code::success ? Gpu::the().admit(true) : code;
}

} // namespace

extern "C" {

Code cuMemcpyBatchAsync(Address* to, Address* from, std::size_t* sizes, std::size_t count, CopyAttributes* attributes,
                        std::size_t* first, std::size_t attribute_count, std::size_t* failed, Stream stream) {
    if (count == 0 || attribute_count != 1 || *first != 0 || attributes->order != copy_order_stream)
        return Code::invalid_value;
    *failed = 0;
    if (const Code code = admit_to("cuMemcpyBatchAsync", stream); code != Code::success)
        return code;
    if (Gpu::the().faults().refuse_batch)
        return Code::not_supported;
    for (std::size_t i = 0; i < count; ++i)
        stream->push({.kind = Operation::Kind::copy, .vram = to[i], .size = sizes[i], .from = from[i]});
    return Code::success;
}

Code cuModuleLoadData(Module* module, const void* image) {
    const Code code = enter_context("cuModuleLoadData");
    if (code != Code::success)
        return code;
    if (Gpu::the().faults().old_model)
        return Code::no_binary_for_gpu;
    if (std::strstr(static_cast<const char*>(image), ".entry vramswap_copy(") == nullptr)
        return Code::invalid_ptx;
    *module = new ModuleBody;
    return code;
}

Code cuModuleUnload(Module module) {
    if (const Code code = begin("cuModuleUnload"); code != Code::success)
        return code;
    delete module;
    return Code::success;
}

Code cuModuleGetFunction(Function* function, Module module, const char* name) {
    const Code code = enter_context("cuModuleGetFunction");
    if (code != Code::success)
        return code;
    if (std::strcmp(name, "vramswap_copy") == 0)
        *function = &module->copy;
    else if (std::strcmp(name, "vramswap_poll") == 0)
        *function = &module->poll;
    else
        return Code::not_found;
    return code;
}

/// Does what the programs of helper/cuda_kernels.cpp do: nobody here can run PTX.
Code cuLaunchKernel(Function function, unsigned blocks_x, unsigned blocks_y, unsigned blocks_z, unsigned threads_x,
                    unsigned threads_y, unsigned threads_z, unsigned /*shared*/, Stream stream, void** arguments,
                    void** /*extra*/) {
    const bool copy = function->kind == FunctionBody::Kind::copy;
    if (blocks_x == 0 || blocks_y == 0 || blocks_z != 1 || threads_y != 1 || threads_z != 1 ||
        threads_x != (copy ? copy_threads : poll_threads))
        return Code::invalid_value;
    if (const Code code = admit_to("cuLaunchKernel", stream); code != Code::success)
        return code;
    if (Gpu::the().faults().refuse_kernel)
        return Code::not_supported;
    if (!copy) {
        stream->push({.kind = Operation::Kind::poll,
                      .vram = *static_cast<Address*>(arguments[0]),
                      .size = *static_cast<unsigned*>(arguments[2]),
                      .value = blocks_x,
                      .answers = *static_cast<Address*>(arguments[1])});
        return Code::success;
    }
    const Pieces& pieces = *static_cast<Pieces*>(arguments[0]);
    for (unsigned i = 0; i < blocks_x; ++i) // as much as there are threads for, and no more
        stream->push({.kind = Operation::Kind::copy,
                      .vram = pieces.at(i).to,
                      .size = std::min<std::size_t>(pieces.at(i).length, std::size_t{blocks_y} * copy_step),
                      .from = pieces.at(i).from});
    return Code::success;
}
}
