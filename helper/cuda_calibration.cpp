// SPDX-License-Identifier: MIT
#include "cuda_calibration.hpp"

#include <algorithm>
#include <cerrno>
#include <thread>

#include "cuda_memory.hpp"

namespace vramswap {
namespace {

using Clock = std::chrono::steady_clock;
using cuda::Code;
using namespace std::chrono_literals;

constexpr std::size_t page = 4096;
constexpr std::size_t words_room = 4096;

/// Odd, so that there is a middle one; the first rounds pay for what the driver does at first use.
constexpr std::size_t rounds = 7;
constexpr std::size_t first_rounds = 2;

/// For all paths together: a start must not take longer for a GPU that is slow today. And for one batch, until it
/// counts as an error.
constexpr auto budget = 200ms;
constexpr auto patience = 5s;

/// One path, ready to be measured.
struct Course {
    CudaStreams& streams;
    const CudaPinned& pinned;
    cuda::Address scratch;
};

/// How long so many copies take.
Result<std::chrono::nanoseconds> time_batch(const Course& course, Op op, std::size_t count) {
    std::array<CudaCopy, cuda::most_pieces> copies;
    for (std::size_t i = 0; i < count; ++i) {
        const std::size_t at = words_room + i * page;
        copies.at(i) = {.vram = course.scratch + i * page,
                        .host = course.pinned.bytes().data() + at,
                        .host_address = course.pinned.address() + at,
                        .length = page};
    }
    const auto start = Clock::now();
    const auto started = course.streams.start(op, std::span(copies).first(count));
    Code code = started.code;
    auto now = Clock::now();
    while (code == Code::success && course.streams.size() != 0) {
        if (course.streams.take_done()) {
            now = Clock::now();
            continue;
        }
        if (Clock::now() - start > 1ms) { // it is slow, so asking does no harm
            code = course.streams.ask();
            std::this_thread::yield();
        }
        if (Clock::now() - start > patience)
            return fail(EIO, "the GPU does not answer");
    }
    if (code != Code::success)
        return fail(EIO, "the GPU does not copy ({})", static_cast<std::uint32_t>(code));
    return now - start;
}

Result<std::chrono::nanoseconds> usual_time(const Course& course, Op op, std::size_t count) {
    std::array<std::chrono::nanoseconds, rounds> times{};
    for (std::size_t round = 0; round < first_rounds + rounds; ++round) {
        const auto time = time_batch(course, op, count);
        if (!time)
            return time;
        times.at(round < first_rounds ? 0 : round - first_rounds) = *time;
    }
    std::ranges::nth_element(times, times.begin() + rounds / 2);
    return times.at(rounds / 2);
}

/// All numbers of copies, until time is up.
Result<CudaTimes> time_path(const Course& course, CudaPath path, Clock::time_point until) {
    CudaTimes times{.path = path};
    for (std::size_t size = 0; size < CudaPaths::sizes && Clock::now() < until; ++size)
        for (const Op op : {Op::read, Op::write}) {
            auto time = usual_time(course, op, std::size_t{1} << size);
            if (!time)
                return pass_on(time);
            (op == Op::read ? times.reads : times.writes).at(size) = *time;
        }
    return times;
}

} // namespace

CudaPaths cuda_choose_paths(const std::vector<CudaTimes>& measured) {
    CudaPaths paths;
    for (const Op op : {Op::read, Op::write})
        for (std::size_t size = 0; size < CudaPaths::sizes; ++size) {
            std::chrono::nanoseconds best{};
            for (const CudaTimes& times : measured) {
                const auto time = (op == Op::read ? times.reads : times.writes).at(size);
                if (time != 0ns && (best == 0ns || time * 10 < best * 9)) {
                    best = time;
                    paths.set(op, size, times.path);
                }
            }
        }
    return paths;
}

Result<std::vector<CudaTimes>> cuda_measure_paths(const CudaApi& api, const CudaKernels* kernels,
                                                  cuda::Address scratch) {
    const auto until = Clock::now() + budget;
    std::vector<CudaPath> candidates{CudaPath::engine};
    if (api.MemcpyBatchAsync != nullptr)
        candidates.push_back(CudaPath::batch);
    if (kernels != nullptr)
        candidates.push_back(CudaPath::kernel);
    std::vector<CudaTimes> measured;
    for (const CudaPath path : candidates) {
        auto pinned = CudaPinned::make(api, words_room + cuda::most_pieces * page);
        if (!pinned)
            return pass_on(pinned);
        auto streams = CudaStreams::make(api, kernels, CudaPaths(path), pinned->bytes().first(words_room),
                                         pinned->address(), cuda::most_pieces);
        if (!streams)
            return pass_on(streams);
        auto times = time_path({.streams = **streams, .pinned = *pinned, .scratch = scratch}, path, until);
        if (!times)
            return pass_on(times);
        measured.push_back(*times);
    }
    return measured;
}

std::string cuda_times_text(const std::vector<CudaTimes>& measured) {
    const auto us = [](std::chrono::nanoseconds time) { return static_cast<double>(time.count()) / 1000; };
    std::string text;
    for (const auto rows : {&CudaTimes::reads, &CudaTimes::writes}) {
        text +=
            fmt::format("{} of 1 and {} pages:", rows == &CudaTimes::reads ? "reads" : "; writes", cuda::most_pieces);
        for (const CudaTimes& times : measured)
            text += fmt::format("{} {} {:.1f} and {:.1f} us", &times == measured.data() ? "" : ",", name_of(times.path),
                                us((times.*rows).front()), us((times.*rows).back()));
    }
    return text;
}

} // namespace vramswap
