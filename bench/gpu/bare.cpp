// SPDX-License-Identifier: MIT
#include "bare.hpp"

namespace vramswap::bench {

Result<std::unique_ptr<BareGpu>> BareGpu::make(const Setting& setting, std::uint64_t bytes) {
    auto api = CudaApi::load(setting.libcuda);
    if (!api)
        return pass_on(api);
    auto bare = std::make_unique<BareGpu>(*api);
    auto gpu = cuda_device_find(bare->api, setting.gpu);
    if (!gpu)
        return pass_on(gpu);
    bare->gpu = std::move(*gpu);
    auto context = CudaContext::make(bare->api, bare->gpu);
    if (!context)
        return pass_on(context);
    bare->context_.emplace(std::move(*context));
    auto store = CudaStore::make(bare->api, bare->gpu, bytes);
    if (!store)
        return pass_on(store);
    bare->store_.emplace(std::move(*store));
    return bare;
}

} // namespace vramswap::bench
