// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "cuda_api.hpp"
#include "cuda_copier.hpp"
#include "cuda_kernels.hpp"
#include "cuda_path.hpp"
#include "cuda_track.hpp"
#include "error.hpp"

namespace vramswap {

/// Which path is taken for how many copies at once, in each direction. CudaPath::poll is all of them or none.
class CudaPaths {
public:
    /// So many numbers of copies are told apart: 1, 2, 4 and so on.
    static constexpr std::size_t sizes = 7;
    static_assert(1U << (sizes - 1) == cuda::most_pieces);

    /// Always the same.
    explicit CudaPaths(CudaPath path = CudaPath::engine) {
        reads_.fill(path);
        writes_.fill(path);
    }

    /// For 1 to cuda::most_pieces copies.
    [[nodiscard]] CudaPath of(Op op, std::size_t copies) const noexcept;

    /// Is it the program that never ends? There is no other path beside it.
    [[nodiscard]] bool polling() const noexcept { return reads_.front() == CudaPath::poll; }

    /// `size`: for 2^size copies or more.
    void set(Op op, std::size_t size, CudaPath path) { (op == Op::read ? reads_ : writes_).at(size) = path; }

    [[nodiscard]] bool uses(CudaPath path) const noexcept;

    /// For a successor: the path's first letter for each size, those of reads before those of writes.
    [[nodiscard]] std::string code() const;
    /// What code() made; nothing for anything else.
    [[nodiscard]] static std::optional<CudaPaths> of_code(std::string_view code);

    /// For people: "reads by engine, from 8 at once by kernel; writes by engine".
    [[nodiscard]] std::string text() const;

private:
    std::array<CudaPath, sizes> reads_{};
    std::array<CudaPath, sizes> writes_{};
};

/// Copies by way of two streams, one for each direction, so that reads do not wait for writes.
class CudaStreams final : public CudaCopier {
public:
    /// Borrows `kernels`, which may be null if no path leads there, and `words`, words_room zero bytes at least.
    /// `room`: copies under way in each direction at most.
    [[nodiscard]] static Result<std::unique_ptr<CudaStreams>> make(const CudaApi& api, const CudaKernels* kernels,
                                                                   const CudaPaths& paths, const CudaReach& words,
                                                                   std::size_t room);

    static constexpr std::size_t words_room = 128;

    /// Copies of so many bytes or more are made one by one by the copy engines, which need no help to be as fast as the
    /// bus then, and take no processor from the GPU's other users.
    static constexpr std::uint32_t large = 64U << 10;

    [[nodiscard]] std::size_t room(Op op) const noexcept override { return track(op).room(); }
    [[nodiscard]] std::size_t size() const noexcept override { return reads_.size() + writes_.size(); }
    [[nodiscard]] Started start(Op op, std::span<const CudaCopy> copies) noexcept override;
    [[nodiscard]] std::optional<std::uint32_t> take_done() noexcept override;
    [[nodiscard]] cuda::Code ask() noexcept override;
    [[nodiscard]] bool drain(std::chrono::milliseconds patience) noexcept override;

private:
    CudaStreams(const CudaApi& api, const CudaKernels* kernels, const CudaPaths& paths, CudaTrack reads,
                CudaTrack writes)
        : api_(api), kernels_(kernels), paths_(paths), reads_(std::move(reads)), writes_(std::move(writes)) {}

    [[nodiscard]] const CudaTrack& track(Op op) const noexcept { return op == Op::read ? reads_ : writes_; }
    [[nodiscard]] CudaTrack& track(Op op) noexcept { return op == Op::read ? reads_ : writes_; }

    [[nodiscard]] Started start_run(Op op, std::span<const CudaCopy> run) noexcept;
    [[nodiscard]] Started one_by_one(Op op, std::span<const CudaCopy> run) noexcept;
    [[nodiscard]] cuda::Code as_batch(Op op, std::span<const CudaCopy> run) noexcept;
    [[nodiscard]] cuda::Code by_kernel(Op op, std::span<const CudaCopy> run) noexcept;

    const CudaApi& api_;
    const CudaKernels* kernels_;
    CudaPaths paths_;
    CudaTrack reads_;
    CudaTrack writes_;
};

} // namespace vramswap
