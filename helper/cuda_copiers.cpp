// SPDX-License-Identifier: MIT
#include "cuda_copiers.hpp"

#include <cassert>

namespace vramswap {
namespace {

template<class Copier>
Result<std::unique_ptr<CudaCopier>> any(Result<std::unique_ptr<Copier>> made) {
    if (!made)
        return pass_on(made);
    return std::move(*made);
}

} // namespace

Result<std::unique_ptr<CudaCopier>> cuda_make_copier(const CudaApi& api, const CudaKernels* kernels,
                                                     const CudaPaths& paths, const CudaReach& words, std::size_t room) {
    assert(words.bytes.size() >= cuda_copier_words);
    return paths.polling() ? any(CudaMailbox::make(api, *kernels, words))
                           : any(CudaStreams::make(api, kernels, paths, words, room));
}

} // namespace vramswap
