// SPDX-License-Identifier: MIT
#include "cuda_calibration.hpp"

#include <algorithm>
#include <cerrno>
#include <optional>
#include <thread>

#include "cuda_copiers.hpp"
#include "cuda_memory.hpp"

namespace vramswap {
namespace {

using Clock = std::chrono::steady_clock;
using cuda::Code;
using namespace std::chrono_literals;

constexpr std::size_t page = 4096;
constexpr std::size_t words_room = 8192;
static_assert(words_room >= cuda_copier_words);

/// Odd, so that there is a middle one; the first rounds pay for what the driver does at first use.
constexpr std::size_t rounds = 7;
constexpr std::size_t first_rounds = 2;

/// For all paths together, in equal parts: a start must not take longer for a GPU that is slow today. And for one
/// batch, until the GPU counts as one that hangs.
constexpr auto budget = 200ms;
constexpr auto patience = 5s;

/// One path, ready to be measured.
struct Course {
    CudaCopier& copier;
    CudaReach host;
    cuda::Address scratch;
    Clock::time_point until;
};

struct Timed {
    std::chrono::nanoseconds time{}; ///< zero: there was no time left
    Code code = Code::success;
};

/// How long so many copies take. Nothing is under way afterwards.
Timed time_batch(const Course& course, Op op, std::size_t count) {
    std::array<CudaCopy, cuda::most_pieces> copies;
    for (std::size_t i = 0; i < count; ++i)
        copies.at(i) = {.vram = course.scratch + i * page,
                        .host = course.host.bytes.data() + i * page,
                        .host_address = course.host.address + i * page,
                        .length = page};
    const auto start = Clock::now();
    Code code = course.copier.start(op, std::span(copies).first(count)).code;
    auto now = start;
    while (code == Code::success && course.copier.size() != 0) {
        const bool done = course.copier.take_done().has_value();
        now = Clock::now();
        if (!done && now - start > 1ms) { // it is slow, so asking does no harm
            code = course.copier.ask();
            std::this_thread::yield();
        }
        if (now - start > patience)
            cuda_leave_hung_gpu();
    }
    if (code != Code::success && !course.copier.drain(patience))
        cuda_leave_hung_gpu();
    return {.time = now - start, .code = code};
}

/// One page is copied once in any case: a path that is refused must be found out.
Timed usual_time(const Course& course, Op op, std::size_t count) {
    std::array<std::chrono::nanoseconds, rounds> times{};
    for (std::size_t round = 0; round < first_rounds + rounds; ++round) {
        if (Clock::now() >= course.until && (count != 1 || round != 0))
            return {};
        const Timed timed = time_batch(course, op, count);
        if (timed.code != Code::success)
            return timed;
        times.at(round < first_rounds ? 0 : round - first_rounds) = timed.time;
    }
    std::ranges::nth_element(times, times.begin() + rounds / 2);
    return {.time = times.at(rounds / 2)};
}

/// All numbers of copies, until time is up.
CudaTimes time_path(const Course& course, CudaPath path) {
    CudaTimes times{.path = path, .code = course.copier.begin()};
    if (times.code != Code::success)
        return times;
    for (std::size_t size = 0; size < CudaPaths::sizes; ++size)
        for (const Op op : {Op::read, Op::write}) {
            const Timed timed = usual_time(course, op, std::size_t{1} << size);
            if (timed.code != Code::success)
                return {.path = path, .code = timed.code};
            (op == Op::read ? times.reads : times.writes).at(size) = timed.time;
        }
    return times;
}

/// The quickest where all that can be used were measured, the first of about equals; nothing where one was not, for
/// then there is nothing to compare the others with.
std::optional<CudaPath> quickest(const std::vector<CudaTimes>& measured, Op op, std::size_t size) {
    std::optional<CudaPath> path;
    std::chrono::nanoseconds best{};
    for (const CudaTimes& times : measured) {
        if (times.code != Code::success)
            continue;
        const auto time = (op == Op::read ? times.reads : times.writes).at(size);
        if (time == 0ns)
            return std::nullopt;
        if (!path || time * 10 < best * 9) {
            path = times.path;
            best = time;
        }
    }
    return path;
}

} // namespace

CudaPaths cuda_choose_paths(const std::vector<CudaTimes>& measured) {
    CudaPaths paths;
    for (const Op op : {Op::read, Op::write}) {
        CudaPath chosen = CudaPath::engine;
        for (std::size_t size = 0; size < CudaPaths::sizes; ++size) {
            chosen = quickest(measured, op, size).value_or(chosen);
            paths.set(op, size, chosen);
        }
    }
    return paths;
}

Result<std::vector<CudaTimes>> cuda_measure_paths(const CudaApi& api, const CudaKernels* kernels,
                                                  std::span<const CudaPath> candidates, cuda::Address scratch) {
    std::vector<CudaTimes> measured;
    for (const CudaPath path : candidates) {
        auto pinned = CudaPinned::make(api, words_room + cuda::most_pieces * page);
        if (!pinned)
            return pass_on(pinned);
        const CudaReach all{.bytes = pinned->bytes(), .address = pinned->address()};
        auto copier = cuda_make_copier(api, kernels, CudaPaths(path), all.part(0, words_room), cuda::most_pieces);
        if (!copier)
            return pass_on(copier);
        measured.push_back(time_path({.copier = **copier,
                                      .host = all.part(words_room, cuda::most_pieces * page),
                                      .scratch = scratch,
                                      .until = Clock::now() + budget / candidates.size()},
                                     path));
        if (!(*copier)->drain(patience)) // a program that never ends must, before its mailbox goes
            cuda_leave_hung_gpu();
        if (path == CudaPath::engine && measured.back().code != Code::success)
            return fail(EIO, "the GPU does not copy: {}", api.text(measured.back().code));
    }
    return measured;
}

std::string cuda_times_text(const CudaApi& api, const std::vector<CudaTimes>& measured) {
    const auto us = [](std::chrono::nanoseconds time) {
        return time == 0ns ? "?" : fmt::format("{:.1f}", static_cast<double>(time.count()) / 1000);
    };
    std::string text;
    for (const auto rows : {&CudaTimes::reads, &CudaTimes::writes}) {
        text +=
            fmt::format("{} of 1 and {} pages:", rows == &CudaTimes::reads ? "reads" : "; writes", cuda::most_pieces);
        for (const CudaTimes& times : measured) {
            text += fmt::format("{} {} ", &times == measured.data() ? "" : ",", name_of(times.path));
            text += times.code != Code::success
                        ? "not: " + api.text(times.code)
                        : fmt::format("{} and {} us", us((times.*rows).front()), us((times.*rows).back()));
        }
    }
    return text;
}

} // namespace vramswap
