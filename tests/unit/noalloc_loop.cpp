// SPDX-License-Identifier: MIT
// The I/O path allocates nothing and makes no system call but ENTER. A program of its own, because it watches the whole
// process's malloc.
#include "catch.hpp"

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <span>
#include <thread>
#include <vector>

#include <helper/checksum_lane.hpp>
#include <helper/cuda_lane.hpp>
#include <helper/cuda_store.hpp>
#include <helper/host_engine.hpp>

#include "fault_engine.hpp"
#include "loop_rig.hpp"

namespace {

std::atomic<bool> watching = false;
std::atomic<std::uint64_t> seen = 0;

void note() noexcept {
    if (watching.load(std::memory_order_relaxed))
        seen.fetch_add(1, std::memory_order_relaxed);
}

} // namespace

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)

// The sanitizers have their own malloc, and hooks in it.
extern "C" int __sanitizer_install_malloc_and_free_hooks(void (*on_malloc)(const volatile void*, std::size_t),
                                                         void (*on_free)(const volatile void*));

namespace {

void watch_malloc() {
    static const int installed = __sanitizer_install_malloc_and_free_hooks(
        [](const volatile void*, std::size_t) { note(); }, [](const volatile void*) { note(); });
    REQUIRE(installed != 0);
}

} // namespace

#else

// In front of libc's malloc, which has these names as well.
extern "C" {
void* __libc_malloc(std::size_t size);
void* __libc_calloc(std::size_t count, std::size_t size);
void* __libc_realloc(void* memory, std::size_t size);
void* __libc_memalign(std::size_t alignment, std::size_t size);
void __libc_free(void* memory);

void* malloc(std::size_t size) {
    note();
    return __libc_malloc(size);
}
void* calloc(std::size_t count, std::size_t size) {
    note();
    return __libc_calloc(count, size);
}
void* realloc(void* memory, std::size_t size) {
    note();
    return __libc_realloc(memory, size);
}
void* aligned_alloc(std::size_t alignment, std::size_t size) {
    note();
    return __libc_memalign(alignment, size);
}
int posix_memalign(void** memory, std::size_t alignment, std::size_t size) {
    note();
    *memory = __libc_memalign(alignment, size);
    return *memory != nullptr ? 0 : ENOMEM;
}
void free(void* memory) {
    note();
    __libc_free(memory);
}
}

namespace {

void watch_malloc() {}

} // namespace

#endif

using namespace vramswap;
using namespace vramswap::test;

namespace {

constexpr std::uint64_t requests = 100000;

/// Allocations and frees of the whole process during `requests` requests, after as many as it takes to get warm.
std::uint64_t allocations(Engine& engine, std::chrono::microseconds spin) {
    const Shape shape{.slots = 32, .slot_size = 16U << 10, .capacity = 512ULL * 4096};
    LoopRig rig(shape, engine, spin);
    rig.start();
    Crowd crowd(rig.queue(), shape, 1, 12);
    crowd.work(0, 1000);
    seen = 0;
    watching = true;
    crowd.work(0, requests);
    watching = false;
    const std::uint64_t count = seen;
    REQUIRE(crowd.tally().wrong == 0);
    REQUIRE(crowd.tally().ended == requests + 1000);
    REQUIRE(rig.stop().code == ESHUTDOWN);
    return count;
}

} // namespace

TEST_CASE("the watch sees allocations") {
    watch_malloc();
    seen = 0;
    watching = true;
    // Volatile, so that the pair is not optimised away.
    void* volatile memory = std::malloc(16); // NOLINT(cppcoreguidelines-no-malloc,cppcoreguidelines-owning-memory)
    std::free(memory);                       // NOLINT(cppcoreguidelines-no-malloc,cppcoreguidelines-owning-memory)
    delete new std::atomic<int>(1);          // NOLINT(cppcoreguidelines-owning-memory)
    watching = false;
    REQUIRE(seen >= 2);
}

TEST_CASE("100000 requests through the host engine allocate nothing") {
    watch_malloc();
    HostEngine engine("", Log::to_standard_error());
    REQUIRE(allocations(engine, std::chrono::microseconds(100)) == 0);
}

TEST_CASE("100000 requests through a helper that always sleeps allocate nothing") {
    watch_malloc();
    HostEngine engine("", Log::to_standard_error());
    REQUIRE(allocations(engine, std::chrono::microseconds(0)) == 0);
}

TEST_CASE("100000 requests through an engine with faults allocate nothing") {
    watch_malloc();
    FaultEngine engine({.longest_delay = 8, .reorder = true, .accept_at_most = 4, .io_error_one_in = 100});
    REQUIRE(allocations(engine, std::chrono::microseconds(100)) == 0);
}

namespace {

/// What vramswap_poll does on a GPU, in a thread that allocates nothing once it runs.
class PollingProgram {
public:
    PollingProgram() = default;
    PollingProgram(const PollingProgram&) = delete;
    PollingProgram& operator=(const PollingProgram&) = delete;
    PollingProgram(PollingProgram&&) = delete;
    PollingProgram& operator=(PollingProgram&&) = delete;
    ~PollingProgram() { end(); }

    void begin(cuda::Stream stream, cuda::Piece* entries, std::uint32_t* answers, unsigned count, unsigned blocks) {
        end();
        stream_ = stream;
        running_ = true;
        thread_ = std::thread([=, this] { run(std::span(entries, count), answers, blocks); });
    }
    [[nodiscard]] bool runs_in(cuda::Stream stream) const { return running_ && stream == stream_; }

private:
    /// It has been told to stop.
    void end() {
        if (thread_.joinable())
            thread_.join();
    }

    void run(std::span<cuda::Piece> entries, std::uint32_t* answers, unsigned blocks) {
        unsigned stopped = 0;
        for (std::uint32_t turn = 1; stopped < blocks; ++turn)
            for (std::size_t i = 0; i < entries.size() && stopped < blocks; ++i) {
                const cuda::Piece& piece = entries[i];
                while (std::atomic_ref(entries[i].turn).load(std::memory_order_acquire) != turn)
                    std::this_thread::yield();
                if (piece.length == cuda::poll_stop) {
                    ++stopped;
                    continue;
                }
                std::memcpy(reinterpret_cast<void*>(piece.to), reinterpret_cast<const void*>(piece.from), piece.length);
                std::atomic_ref(answers[i]).store(turn, std::memory_order_release);
            }
        running_ = false;
    }

    cuda::Stream stream_ = nullptr;
    std::atomic<bool> running_ = false;
    std::thread thread_;
};

PollingProgram polling_program;

/// The fake driver, but for what the I/O path calls: that is done here at once and allocates nothing, so that whatever
/// is allocated is the lane's doing. The GPU's addresses are ours.
CudaApi plain_api() {
    using cuda::Code;
    CudaApi api = CudaApi::load(FAKE_CUDA).value();
    api.MemHostGetDevicePointer = [](cuda::Address* address, void* memory, unsigned) {
        *address = reinterpret_cast<cuda::Address>(memory);
        return Code::success;
    };
    api.MemcpyHtoDAsync = [](cuda::Address to, const void* from, std::size_t size, cuda::Stream) {
        std::memcpy(reinterpret_cast<void*>(to), from, size);
        return Code::success;
    };
    api.MemcpyDtoHAsync = [](void* to, cuda::Address from, std::size_t size, cuda::Stream) {
        std::memcpy(to, reinterpret_cast<const void*>(from), size);
        return Code::success;
    };
    api.MemsetD8Async = [](cuda::Address to, unsigned char value, std::size_t size, cuda::Stream) {
        std::memset(reinterpret_cast<void*>(to), value, size);
        return Code::success;
    };
    api.StreamWriteValue32 = [](cuda::Stream, cuda::Address to, std::uint32_t value, unsigned) {
        *reinterpret_cast<std::uint32_t*>(to) = value;
        return Code::success;
    };
    api.MemcpyBatchAsync = [](cuda::Address* to, cuda::Address* from, std::size_t* sizes, std::size_t count,
                              cuda::CopyAttributes*, std::size_t*, std::size_t, std::size_t*, cuda::Stream) {
        for (std::size_t i = 0; i < count; ++i)
            std::memcpy(reinterpret_cast<void*>(to[i]), reinterpret_cast<const void*>(from[i]), sizes[i]);
        return Code::success;
    };
    api.StreamQuery = [](cuda::Stream stream) {
        return polling_program.runs_in(stream) ? Code::not_ready : Code::success;
    };
    api.LaunchKernel = [](cuda::Function, unsigned count, unsigned, unsigned, unsigned threads, unsigned, unsigned,
                          unsigned, cuda::Stream stream, void** arguments, void**) {
        if (threads == cuda::poll_threads) {
            polling_program.begin(stream, reinterpret_cast<cuda::Piece*>(*static_cast<cuda::Address*>(arguments[0])),
                                  reinterpret_cast<std::uint32_t*>(*static_cast<cuda::Address*>(arguments[1])),
                                  *static_cast<unsigned*>(arguments[2]), count);
            return Code::success;
        }
        for (const cuda::Piece& piece : std::span(*static_cast<cuda::Pieces*>(arguments[0])).first(count))
            std::memcpy(reinterpret_cast<void*>(piece.to), reinterpret_cast<const void*>(piece.from), piece.length);
        return Code::success;
    };
    return api;
}

} // namespace

namespace {

/// Where plain_api's GPU sees memory: where it is.
CudaReach reach(std::span<std::byte> bytes) {
    return {.bytes = bytes, .address = reinterpret_cast<cuda::Address>(bytes.data())};
}

} // namespace

TEST_CASE("100000 transfers through a CUDA lane allocate nothing") {
    watch_malloc();
    constexpr std::size_t capacity = 64 * 4096;
    constexpr unsigned depth = 32;
    const CudaApi api = plain_api();
    cuda::Context context = nullptr;
    REQUIRE(api.CtxCreate(&context, 0, 0) == cuda::Code::success);
    std::vector<std::byte> store(capacity + CudaStore::scratch_size);
    std::vector<std::byte> staging(std::size_t{depth} * 4096);
    const auto kernels = CudaKernels::make(api);
    REQUIRE(kernels.has_value());
    auto sums = BlockSums::make(capacity);
    REQUIRE(sums.has_value());
    for (unsigned run = 0; run < 2 * cuda_paths.size(); ++run) {
        const CudaPath path = cuda_paths.at(run / 2);
        const bool checked = run % 2 != 0;
        INFO(name_of(path) << (checked ? ", with checksums" : ""));
        std::vector<std::byte> own(CudaLane::own_room);
        const auto address = reinterpret_cast<cuda::Address>(store.data());
        auto made = CudaLane::make({.api = api,
                                    .context = context,
                                    .kernels = &*kernels,
                                    .paths = CudaPaths(path),
                                    .store = address,
                                    .capacity = capacity,
                                    .scratch = address + capacity,
                                    .staging = reach(staging),
                                    .own = reach(own),
                                    .depth = depth});
        REQUIRE(made.has_value());
        std::unique_ptr<Lane> lane = std::move(*made);
        if (checked)
            lane = std::make_unique<ChecksumLane>(std::move(lane), *sums, depth, [](std::uint64_t) {});
        REQUIRE(lane->begin().has_value());
        std::array<Transfer, depth> transfers;
        for (std::uint32_t i = 0; i < depth; ++i)
            transfers.at(i) = {.offset = i * 4096ULL,
                               .staging = staging.data() + i * 4096ULL,
                               .length = 4096,
                               .token = i,
                               .op = static_cast<Op>(i % 3)};
        std::array<Completion, depth> completions;
        std::uint64_t ended = 0;
        seen = 0;
        watching = true;
        while (ended < requests && !lane->failed()) {
            (void)lane->submit(transfers);
            ended += lane->poll(completions);
        }
        watching = false;
        const std::uint64_t count = seen;
        REQUIRE(ended >= requests);
        REQUIRE(count == 0);
    }
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

namespace {

/// From now on this thread may do what waiting and ending take; any other system call ends the process.
void forbid_system_calls() {
    const auto allow = [](long number) {
        return std::array{sock_filter{BPF_JMP | BPF_JEQ | BPF_K, 0, 1, static_cast<std::uint32_t>(number)},
                          sock_filter{BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW}};
    };
    std::vector<sock_filter> filter{{BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(seccomp_data, nr)}};
    // futex and sched_yield are the test kernel's ENTER; nanosleep is the wait for a slow engine; the rest ends a
    // thread.
    for (const long number : {SYS_futex, SYS_sched_yield, SYS_nanosleep, SYS_clock_nanosleep, SYS_madvise, SYS_munmap,
                              SYS_rt_sigprocmask, SYS_rseq, SYS_exit, SYS_exit_group})
        for (const sock_filter& line : allow(number))
            filter.push_back(line);
    filter.push_back({BPF_RET | BPF_K, 0, 0, SECCOMP_RET_KILL_PROCESS});
    const sock_fprog program{.len = static_cast<unsigned short>(filter.size()), .filter = filter.data()};
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
        throw std::runtime_error("no seccomp filter: " + errno_text(errno));
}

} // namespace

TEST_CASE("the loop makes no system call but ENTER") {
    HostEngine engine("", Log::to_standard_error());
    const Shape shape{.slots = 32, .slot_size = 16U << 10, .capacity = 512ULL * 4096};
    LoopRig rig(shape, engine);
    std::atomic<int> ready = 0; // 1: the filter is in place, -1: there is none
    LoopEnd end;
    std::thread thread([&] {
        try {
            forbid_system_calls();
        } catch (const std::exception&) {
            ready = -1;
            return;
        }
        ready = 1;
        end = rig.loop.run(rig.asked);
    });
    while (ready == 0)
        std::this_thread::yield();
    if (ready == 1) {
        Crowd crowd(rig.queue(), shape, 1, 12);
        crowd.work(0, 20000);
        rig.queue().end(-ESHUTDOWN);
        thread.join();
        REQUIRE(crowd.tally().wrong == 0);
        REQUIRE(end.code == ESHUTDOWN);
    } else {
        thread.join();
        FAIL("seccomp filters are not to be had here");
    }
}

#endif
