// SPDX-License-Identifier: MIT
#include "enter.hpp"

#include <atomic>
#include <vector>

#include "calls.hpp"
#include "gpu.hpp"

namespace vramswap::fake_cuda {
namespace {

/// CUDA_ERROR_CONTEXT_IS_DESTROYED: the helper never meets it but by a mistake.
constexpr Code context_is_destroyed{709};

std::atomic<bool> initialised = false;

std::vector<cuda::Context>& contexts() {
    static thread_local std::vector<cuda::Context> stack;
    return stack;
}

} // namespace

Code begin(const char* name) {
    Calls::the().note(name);
    return Gpu::the().answer(name);
}

Code enter(const char* name) {
    if (const Code code = begin(name); code != Code::success)
        return code;
    return initialised ? Gpu::the().standing() : Code::not_initialized;
}

Code enter_context(const char* name) {
    const Code code = enter(name);
    if (code != Code::success)
        return code;
    if (current_context() == nullptr)
        return Code::invalid_context;
    return Gpu::the().has_context(current_context()) ? code : context_is_destroyed;
}

Code enter_stream(const char* name, cuda::Stream stream) {
    const Code code = enter_context(name);
    return code == Code::success && stream == nullptr ? Code::invalid_handle : code;
}

void set_initialised() {
    initialised = true;
}

cuda::Context current_context() {
    return contexts().empty() ? nullptr : contexts().back();
}

void push_context(cuda::Context context) {
    contexts().push_back(context);
}

void set_current_context(cuda::Context context) {
    if (!contexts().empty())
        contexts().pop_back();
    if (context != nullptr)
        contexts().push_back(context);
}

void pop_context(cuda::Context destroyed) {
    if (current_context() == destroyed)
        contexts().pop_back();
}

} // namespace vramswap::fake_cuda
