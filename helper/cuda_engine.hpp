// SPDX-License-Identifier: MIT
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "cuda_api.hpp"
#include "cuda_device.hpp"
#include "cuda_kernels.hpp"
#include "cuda_lane.hpp"
#include "cuda_path.hpp"
#include "cuda_store.hpp"
#include "engine.hpp"

namespace vramswap {

/// Keeps the bytes in the memory of an NVIDIA GPU.
///
/// To be made, used (but for lanes) and destroyed by one thread, in a process that has not forked since. A lost GPU
/// never serves blank pages: lanes fail, and adopt refuses what is not as it was left.
class CudaEngine final : public Engine {
public:
    /// Name under which an open /dev/nvidiaN is kept.
    static constexpr std::string_view gpu_name = "vramswap-gpu";

    struct Wishes {
        std::string gpu;              ///< as for cuda_device_choose
        std::optional<CudaPath> path; ///< none: what a measurement finds the quickest, but never CudaPath::poll
        bool contents = false;        ///< there are some to be taken over: nothing is measured, `path` does not count
        std::string tuning;           ///< with contents: what a predecessor's tuning() said; else by copy engines
        std::string libcuda = CudaApi::library_name;
    };

    /// Loads the driver and takes a share of a GPU, but no memory yet. Errors as of CudaApi::load, cuda_device_choose,
    /// cuda_device_check, CudaContext::make, and ENOTSUP if driver or GPU cannot copy in the way that is wished for
    /// (later, from bind and lane, too).
    [[nodiscard]] static Result<std::unique_ptr<CudaEngine>> make(const Wishes& wishes);

    CudaEngine(const CudaEngine&) = delete;
    CudaEngine& operator=(const CudaEngine&) = delete;
    CudaEngine(CudaEngine&&) = delete;
    CudaEngine& operator=(CudaEngine&&) = delete;
    ~CudaEngine() override;

    /// What there is of VRAM.
    [[nodiscard]] Result<CudaStore::Memory> memory() const { return CudaStore::memory(api_, gpu_); }

    /// Is there VRAM for so many bytes? Error ENOMEM, with the amounts.
    [[nodiscard]] Result<void> check_room(std::uint64_t capacity) const {
        return CudaStore::check_room(api_, gpu_, capacity);
    }

    /// Of the GPU, for `make` in a successor.
    [[nodiscard]] std::string uuid() const { return cuda_uuid_text(gpu_.uuid); }

    /// Does the GPU's memory notice when a bit of it flips?
    [[nodiscard]] bool has_ecc() const { return cuda_device_attribute(api_, gpu_, cuda::Attribute::ecc_enabled) != 0; }

    [[nodiscard]] std::string label() const override;
    [[nodiscard]] Result<void> open(std::uint64_t capacity) override;
    [[nodiscard]] Result<void> adopt(std::uint64_t capacity, std::vector<InheritedFd>& inherited) override;
    [[nodiscard]] std::vector<KeptFd> kept() const override;
    /// Measures the paths, too, if there is a choice, and there are no contents that are waited for.
    [[nodiscard]] Result<void> bind(std::span<std::byte> staging) override;
    void unbind() noexcept override;
    [[nodiscard]] Result<std::unique_ptr<Lane>> lane(unsigned queue, unsigned depth) override;
    [[nodiscard]] Result<void> erase() override;
    [[nodiscard]] std::string remarks() const override { return remarks_; }
    [[nodiscard]] std::string tuning() const override { return paths_.code(); }

private:
    CudaEngine(const CudaApi& api, CudaGpu gpu, const Wishes& wishes)
        : api_(api), gpu_(std::move(gpu)), path_(wishes.path), contents_(wishes.contents) {
        if (contents_)
            paths_ = CudaPaths::of_code(wishes.tuning).value_or(CudaPaths());
    }

    [[nodiscard]] Result<void> prepare_path();
    [[nodiscard]] Result<void> prepare_known_paths();
    [[nodiscard]] Result<void> give_up_path(const std::string& why);
    [[nodiscard]] Result<void> choose_paths();
    [[nodiscard]] Result<void> check_polling();

    CudaApi api_; ///< what all others here borrow
    CudaGpu gpu_;
    Fd node_; ///< /dev/nvidiaN
    std::optional<CudaContext> context_;
    std::optional<CudaKernels> kernels_;
    std::optional<CudaStore> store_;
    CudaReach staging_;           ///< registered
    std::vector<CudaPinned> own_; ///< of the lanes
    std::optional<CudaPath> path_;
    bool contents_;
    CudaPaths paths_;
    std::string remarks_;
    bool chosen_ = false;
};

} // namespace vramswap
