// SPDX-License-Identifier: MIT
// Each way to copy is chosen for a reason.
#include "catch.hpp"

#include <helper/cuda_calibration.hpp>

#include "cuda_fake.hpp"

using namespace vramswap;
using namespace vramswap::test;
using namespace std::chrono_literals;

namespace {

/// Times of a path: for one page, and by how much more for each further one, the same both ways.
CudaTimes linear(CudaPath path, std::chrono::nanoseconds one, std::chrono::nanoseconds more) {
    CudaTimes times{.path = path};
    for (std::size_t size = 0; size < CudaPaths::sizes; ++size)
        times.reads.at(size) = times.writes.at(size) = one + more * ((1U << size) - 1U);
    return times;
}

/// The same, but that time was up after so many numbers of copies.
CudaTimes cut(CudaTimes times, std::size_t sizes) {
    for (std::size_t size = sizes; size < CudaPaths::sizes; ++size)
        times.reads.at(size) = times.writes.at(size) = 0ns;
    return times;
}

CudaTimes refused(CudaPath path) {
    return {.path = path, .code = cuda::Code::not_supported};
}

} // namespace

TEST_CASE("what was not measured is not said to take no time") {
    CudaTimes times{.path = CudaPath::engine};
    times.reads.front() = 1500ns;
    auto api = CudaApi::load(fake_library);
    REQUIRE(api.has_value());
    REQUIRE(cuda_times_text(*api, {times}).find("engine 1.5 and ? us") != std::string::npos);
}

TEST_CASE("the quickest path is chosen for each number of copies, the first of equals") {
    const auto engine = linear(CudaPath::engine, 8us, 1500ns);
    const auto kernel = linear(CudaPath::kernel, 12us, 100ns);
    const CudaPaths paths = cuda_choose_paths({engine, kernel});
    REQUIRE(paths.of(Op::read, 1) == CudaPath::engine);
    REQUIRE(paths.of(Op::read, 3) == CudaPath::engine); // 11 and 12.3 us
    REQUIRE(paths.of(Op::read, 7) == CudaPath::engine); // as for 4: 12.5 and 12.3 us, which is no tenth
    REQUIRE(paths.of(Op::read, 8) == CudaPath::kernel);
    REQUIRE(paths.of(Op::write, 64) == CudaPath::kernel);
    REQUIRE(paths.text() == "reads by engine, from 8 at once by kernel; writes by engine, from 8 at once by kernel");
    REQUIRE(cuda_choose_paths({engine, linear(CudaPath::batch, 8us, 1499ns)}).of(Op::read, 64) == CudaPath::engine);
    REQUIRE(cuda_choose_paths({}).of(Op::write, 1) == CudaPath::engine);
}

TEST_CASE(
    "a path is compared with all others or not chosen: where one was not measured, the next smaller number counts") {
    const auto engine = linear(CudaPath::engine, 10us, 1us);
    const auto batch = linear(CudaPath::batch, 12us, 100ns);  // quicker from 4 on
    const auto kernel = linear(CudaPath::kernel, 13us, 10ns); // quicker than both from 32 on
    struct Row {
        const char* what;
        std::vector<CudaTimes> measured;
        const char* code; ///< for 1, 2, 4 ... 64 copies, each way
    };
    for (const Row& row : {
             Row{"all", {engine, batch, kernel}, "eeebbkk"},
             Row{"the last, to 16 copies", {engine, batch, cut(kernel, 5)}, "eeebbbb"},
             Row{"the last, to 2 copies", {engine, batch, cut(kernel, 2)}, "eeeeeee"},
             Row{"the first, to 16 copies", {cut(engine, 5), batch, kernel}, "eeebbbb"},
             Row{"the first, one copy", {cut(engine, 1), batch, kernel}, "eeeeeee"},
             Row{"the one between, to 32 copies", {engine, cut(batch, 6), kernel}, "eeebbkk"},
             Row{"the last, not at all", {engine, batch, cut(kernel, 0)}, "eeeeeee"},
             Row{"none", {cut(engine, 0), cut(batch, 0)}, "eeeeeee"},
             Row{"a path that is refused does not count", {engine, refused(CudaPath::batch), kernel}, "eeekkkk"},
             Row{"nor does one that is refused last", {engine, batch, refused(CudaPath::kernel)}, "eeebbbb"},
         }) {
        INFO(row.what);
        REQUIRE(cuda_choose_paths(row.measured).code() == std::string(row.code) + row.code);
    }
    // One way of which less was measured does not tell on the other.
    CudaTimes reads_alone = batch;
    reads_alone.writes.fill(0ns);
    REQUIRE(cuda_choose_paths({engine, reads_alone}).code() == "eeebbbb"
                                                               "eeeeeee");
}
