// SPDX-License-Identifier: MIT
// The fake driver itself, where tests rely on it to do as a real one: whose context is current, whose memory is taken,
// and what it does when it is told to fail.
#include "cuda_rig.hpp"

#include <array>
#include <atomic>
#include <csignal>

#include <sys/socket.h>
#include <sys/wait.h>

#include <helper/keeper.hpp>

using namespace vramswap;
using namespace vramswap::test;
using cuda::Code;

namespace {

constexpr std::size_t mib = 1U << 20;

CudaApi driver() {
    auto api = CudaApi::load(fake_library);
    REQUIRE(api.has_value());
    return *api;
}

/// The device of the thread's context; -1 if it has none.
int device(const CudaApi& api) {
    cuda::Device device = -1;
    return api.CtxGetDevice(&device) == Code::success ? device : -1;
}

std::size_t free_mib(const CudaApi& api) {
    std::size_t free = 0;
    std::size_t total = 0;
    REQUIRE(api.MemGetInfo(&free, &total) == Code::success);
    return free / mib;
}

/// VRAM as a predecessor has it: a descriptor, and nothing else in this process.
Fd remains(const CudaApi& api, std::size_t size) {
    cuda::MemoryHandle handle = 0;
    const cuda::AllocationProp prop;
    REQUIRE(api.MemCreate(&handle, size, &prop, 0) == Code::success);
    int fd = -1;
    REQUIRE(api.MemExportToShareableHandle(&fd, handle, cuda::handle_posix_fd, 0) == Code::success);
    REQUIRE(api.MemRelease(handle) == Code::success);
    return Fd(fd);
}

} // namespace

TEST_CASE("the fake's threads have stacks of contexts") {
    const Fake fake("devices=3");
    const CudaApi api = driver();
    REQUIRE(device(api) == -1);
    cuda::Context first = nullptr;
    cuda::Context second = nullptr;
    REQUIRE(api.CtxCreate(&first, 0, 0) == Code::success);
    REQUIRE(api.CtxCreate(&second, 0, 2) == Code::success);
    REQUIRE(device(api) == 2);
    std::thread([&] { REQUIRE(device(api) == -1); }).join();
    REQUIRE(api.CtxDestroy(second) == Code::success);
    REQUIRE(device(api) == 0); // the one before
    // One that is not on top stays where it is, and is good for nothing any more.
    REQUIRE(api.CtxCreate(&second, 0, 1) == Code::success);
    REQUIRE(api.CtxDestroy(first) == Code::success);
    REQUIRE(device(api) == 1);
    REQUIRE(api.CtxDestroy(second) == Code::success);
    REQUIRE(api.CtxGetDevice(nullptr) == Code(709)); // CUDA_ERROR_CONTEXT_IS_DESTROYED
    REQUIRE(api.CtxSetCurrent(nullptr) == Code::success);
    REQUIRE(api.CtxGetDevice(nullptr) == Code::invalid_context);
}

TEST_CASE("the fake's VRAM is taken by whoever has a descriptor or a mapping of it, and until the last has gone") {
    const Fake fake("vram_mib=64");
    const CudaApi api = driver();
    cuda::Context context = nullptr;
    REQUIRE(api.CtxCreate(&context, 0, 0) == Code::success);
    REQUIRE(free_mib(api) == 64);
    Fd kept = remains(api, 16 * mib);
    REQUIRE(free_mib(api) == 48);
    Fd second(::fcntl(kept.get(), F_DUPFD_CLOEXEC, 0));
    cuda::MemoryHandle handle = 0;
    auto* const number = reinterpret_cast<void*>(static_cast<std::intptr_t>(kept.get()));
    REQUIRE(api.MemImportFromShareableHandle(&handle, number, cuda::handle_posix_fd) == Code::success);
    REQUIRE(free_mib(api) == 48); // the same memory
    kept = Fd();
    second = Fd();
    REQUIRE(free_mib(api) == 48); // by its handle
    cuda::Address address = 0;
    REQUIRE(api.MemAddressReserve(&address, 16 * mib, 0, 0, 0) == Code::success);
    REQUIRE(api.MemMap(address, 16 * mib, 0, handle, 0) == Code::success);
    REQUIRE(api.MemRelease(handle) == Code::success);
    REQUIRE(free_mib(api) == 48); // by its mapping
    const cuda::AllocationProp prop;
    REQUIRE(api.MemCreate(&handle, 50 * mib, &prop, 0) == Code::out_of_memory);
    REQUIRE(api.MemUnmap(address, 16 * mib) == Code::success);
    REQUIRE(free_mib(api) == 64);
    REQUIRE(api.MemAddressFree(address, 16 * mib) == Code::success);
    REQUIRE(api.CtxDestroy(context) == Code::success);
    REQUIRE(fake.left().empty());
}

TEST_CASE("the fake's VRAM is all processes', and stays taken when they are killed while a descriptor is on its way") {
    const Fake fake("vram_mib=64");
    const CudaApi api = driver();
    cuda::Context context = nullptr;
    REQUIRE(api.CtxCreate(&context, 0, 0) == Code::success);
    std::array<int, 2> pair{};
    REQUIRE(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair.data()) == 0);
    const Fd ours(pair[0]);
    Fd theirs(pair[1]);
    const pid_t child = ::fork();
    if (child == 0) {
        try {
            const KeeperLink link(std::move(theirs), {});
            if (link.keep("memory", remains(api, 16 * mib).get()))
                (void)::raise(SIGKILL);
        } catch (...) { // NOLINT(bugprone-empty-catch): Catch2 has said it
        }
        ::_exit(1);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    REQUIRE(WIFSIGNALED(status));
    REQUIRE(free_mib(api) == 48); // nobody has received it yet
    theirs = Fd();
    std::array<char, 256> message{};
    REQUIRE(::recv(ours.get(), message.data(), message.size(), 0) > 0); // without the descriptor, which is closed
    REQUIRE(free_mib(api) == 64);
    // Another GPU's memory is none of ours.
    const Fd kept = remains(api, 16 * mib);
    const std::string own = std::getenv("VRAMSWAP_FAKE_CUDA_GPU"); // NOLINT(concurrency-mt-unsafe)
    (void)::setenv("VRAMSWAP_FAKE_CUDA_GPU", "other", 1);          // NOLINT(concurrency-mt-unsafe)
    const std::size_t other = free_mib(api);
    (void)::setenv("VRAMSWAP_FAKE_CUDA_GPU", own.c_str(), 1); // NOLINT(concurrency-mt-unsafe)
    REQUIRE(other == 64);
    REQUIRE(free_mib(api) == 48);
    REQUIRE(api.CtxDestroy(context) == Code::success);
}

TEST_CASE("the fake's functions fail and block when they are told to") {
    const Fake fake("fail=cuMemGetInfo:46");
    const CudaApi api = driver();
    cuda::Context context = nullptr;
    REQUIRE(api.CtxCreate(&context, 0, 0) == Code::success);
    std::size_t free = 0;
    REQUIRE(api.MemGetInfo(&free, &free) == Code::device_unavailable);
    fake.arm("fail=cuCtxGetDevice");
    REQUIRE(device(api) == -1);
    REQUIRE(free_mib(api) == 256);
    fake.arm("block=cuCtxSetCurrent");
    std::atomic<bool> back = false;
    std::thread thread([&] {
        (void)api.CtxSetCurrent(context);
        back = true;
    });
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    REQUIRE(!back);
    fake.arm("");
    thread.join();
    REQUIRE(back);
    REQUIRE(fake.left() == "1 contexts");
    REQUIRE(api.CtxDestroy(context) == Code::success);
    REQUIRE(fake.left().empty());
}
