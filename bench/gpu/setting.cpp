// SPDX-License-Identifier: MIT
#include "setting.hpp"

#include <cerrno>

namespace vramswap::bench {

test::Shape shape_of(const Setting& setting, std::uint64_t capacity) {
    return {.queues = setting.queues, .slots = 64, .slot_size = 128U << 10, .capacity = capacity};
}

Finding not_ok(std::string name, const Error& error) {
    return {.name = std::move(name),
            .verdict = error.code == ENOTSUP ? Verdict::skipped : Verdict::failed,
            .text = error.message};
}

Result<std::unique_ptr<CudaEngine>> make_cuda(const Setting& setting, std::uint64_t capacity) {
    auto engine = CudaEngine::make({.gpu = setting.gpu, .path = setting.path, .libcuda = setting.libcuda});
    if (!engine || capacity == 0)
        return engine;
    if (auto open = (*engine)->open(capacity); !open)
        return pass_on(open);
    return engine;
}

} // namespace vramswap::bench
