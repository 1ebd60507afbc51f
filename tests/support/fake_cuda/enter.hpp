// SPDX-License-Identifier: MIT
// How every function of the fake driver begins, and which context a thread has.
#pragma once

#include <helper/cuda_types.hpp>

namespace vramswap::fake_cuda {

/// Notes the call. What is not success is its answer (fail=NAME); does not return if it blocks (block=NAME).
[[nodiscard]] cuda::Code begin(const char* name);

/// The same for calls that nothing but cuInit must come before.
[[nodiscard]] cuda::Code enter(const char* name);

/// For calls that work in the thread's context.
[[nodiscard]] cuda::Code enter_context(const char* name);

/// The same for what goes into a stream. The NULL stream waits for all others: not for us.
[[nodiscard]] cuda::Code enter_stream(const char* name, cuda::Stream stream);

/// cuInit was called, and found a device.
void set_initialised();

// The thread's stack of contexts, as in the manual: making one pushes it, making one current takes the top's place,
// destroying the top pops it. One that another thread destroyed stays where it is, and cannot be used.

/// Null if the stack is empty.
[[nodiscard]] cuda::Context current_context();
void push_context(cuda::Context context);
/// Null only pops.
void set_current_context(cuda::Context context);
void pop_context(cuda::Context destroyed);

} // namespace vramswap::fake_cuda
