// SPDX-License-Identifier: MIT
// The fake GPU behind the fake driver's functions. A memory handle is a memfd, so it lives as the real one does: until
// all handles, mappings and exported descriptors are gone, in whatever process.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <thread>

#include <helper/cuda_types.hpp>
#include <helper/fd.hpp>

#include "faults.hpp"
#include "vram.hpp"

namespace vramswap::cuda {

struct ContextBody {
    Device device = 0;
};

/// A program for the GPU, of the two that there are.
struct FunctionBody {
    enum class Kind : std::uint8_t { copy, poll };
    Kind kind = Kind::copy;
};

struct ModuleBody {
    ModuleBody();
    ModuleBody(const ModuleBody&) = delete;
    ModuleBody& operator=(const ModuleBody&) = delete;
    ModuleBody(ModuleBody&&) = delete;
    ModuleBody& operator=(ModuleBody&&) = delete;
    ~ModuleBody();

    FunctionBody copy{FunctionBody::Kind::copy};
    FunctionBody poll{FunctionBody::Kind::poll};
};

} // namespace vramswap::cuda

namespace vramswap::fake_cuda {

using cuda::Address;
using cuda::Code;

// Where the GPU sees things is nowhere that a CPU could look, and two views of the same memory differ: whoever mixes
// them up crashes.
inline constexpr Address vram_bias = 0x1000'0000'0000'0000;
inline constexpr Address host_bias = 0x2000'0000'0000'0000;

/// What a stream does next.
struct Operation {
    enum class Kind : std::uint8_t { to_vram, to_host, copy, fill, write_word, poll };
    Kind kind = Kind::fill;
    Address vram = 0; ///< or the GPU's address of a host word; of a copy, where it goes
    std::byte* host = nullptr;
    std::size_t size = 0;
    std::uint32_t value = 0;
    Address from = 0;    ///< of a copy between addresses as the GPU sees them
    Address answers = 0; ///< of a poll: of so many (size) entries at vram, served by so many blocks (value)
};

/// Everything of one process's fake driver. One lock for all: operations are carried out one at a time.
class Gpu {
public:
    static Gpu& the();

    /// Sets the faults and counts from zero again. Lets go of what hangs.
    void arm(const Faults& faults);
    [[nodiscard]] Faults faults();

    /// What a function answers before it does anything: success, or what fail=NAME says. Waits for as long as
    /// block=NAME does.
    [[nodiscard]] Code answer(std::string_view name);

    /// The same for all functions: success, or the error that stays.
    [[nodiscard]] Code standing();

    /// What this process has made and not unmade: "2 streams, 1 context". Empty: nothing.
    [[nodiscard]] std::string left();

    void add_context(cuda::Context context);
    void remove_context(cuda::Context context);
    [[nodiscard]] bool has_context(cuda::Context context);

    // Of VRAM and host memory; arguments as of the functions that they are behind.
    Code create(std::uint64_t& handle, std::size_t size);
    Code release(std::uint64_t handle);
    Code export_fd(std::uint64_t handle, int& fd);
    Code import_fd(std::uint64_t& handle, int fd);
    Code reserve(Address& address, std::size_t size);
    Code free_range(Address address, std::size_t size);
    Code map(Address address, std::size_t size, std::uint64_t handle);
    Code unmap(Address address, std::size_t size);
    Code set_access(Address address, std::size_t size, std::uint32_t flags);
    Code add_host(std::byte* memory, std::size_t size);
    Code remove_host(std::byte* memory);
    void memory_info(std::size_t& free, std::size_t& total);

    /// True if all of it is registered or came from cuMemHostAlloc.
    [[nodiscard]] bool pinned(const std::byte* memory, std::size_t size);

    /// A copy that the caller waits for.
    [[nodiscard]] Code copy_now(Address vram, std::byte* host, std::size_t size, bool to_vram);

    /// May this asynchronous call be made? Counts them for error_at.
    [[nodiscard]] Code admit(bool copy);

    /// Carries out what a stream has come to. Waits for as long as the operation hangs.
    void execute(const Operation& operation);

    /// Does as vramswap_poll would, with one thread for all of its blocks, until it is told to end or the GPU breaks.
    void poll(const Operation& operation);

    /// Waits as the driver may when host memory is made or freed: until no program runs and nothing hangs.
    void wait_for_work();

    std::atomic<unsigned> streams = 0; ///< that there are
    std::atomic<unsigned> modules = 0;

private:
    struct Range {
        std::size_t size = 0;
        bool accessible = false; ///< of VRAM
    };
    struct Memory {
        Fd fd;
        std::size_t size = 0;
    };
    using Ranges = std::map<std::uintptr_t, Range>;

    [[nodiscard]] static bool inside(const Ranges& ranges, std::uintptr_t start, std::size_t size, bool access);
    [[nodiscard]] std::byte* reach(Address address, std::size_t size) const;
    [[nodiscard]] std::byte* reach_locked(Address address, std::size_t size);
    bool struck(std::uint64_t number);
    void carry_out(const Operation& operation, bool flip);
    void lose(bool blank);

    std::mutex lock_;
    std::condition_variable armed_;
    Faults faults_;
    Code sticky_ = Code::success;
    std::uint64_t calls_ = 0;      ///< asynchronous ones since arm
    std::uint64_t operations_ = 0; ///< carried out since arm
    std::uint64_t creates_ = 0;
    std::uint64_t arms_ = 0;
    unsigned programs_ = 0; ///< that run
    unsigned hanging_ = 0;  ///< operations
    std::uint64_t next_handle_ = 1;
    std::map<std::uint64_t, Memory> memory_;
    std::set<cuda::Context> contexts_;
    Ranges reserved_;
    Ranges mapped_;
    Ranges host_;
};

} // namespace vramswap::fake_cuda

namespace vramswap::cuda {

/// A stream: a thread that does one thing after the other.
struct StreamBody {
    StreamBody();
    StreamBody(const StreamBody&) = delete;
    StreamBody& operator=(const StreamBody&) = delete;
    StreamBody(StreamBody&&) = delete;
    StreamBody& operator=(StreamBody&&) = delete;
    ~StreamBody();

    void push(const fake_cuda::Operation& operation);
    [[nodiscard]] bool idle();
    void wait();

private:
    void work();

    std::mutex lock_;
    std::condition_variable changed_;
    std::deque<fake_cuda::Operation> queue_;
    bool busy_ = false;
    bool over_ = false;
    std::minstd_rand random_;
    std::thread thread_;
};

} // namespace vramswap::cuda
