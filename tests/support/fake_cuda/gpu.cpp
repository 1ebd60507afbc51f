// SPDX-License-Identifier: MIT
#include "gpu.hpp"

#include <algorithm>
#include <chrono>
#include <cstring>

#include <helper/cuda_piece.hpp>

#include "calls.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace vramswap::fake_cuda {
namespace {

std::uintptr_t number_of(const std::byte* memory) {
    return reinterpret_cast<std::uintptr_t>(memory);
}

void* pointer_of(std::uintptr_t number) {
    return reinterpret_cast<void*>(number);
}

} // namespace

Gpu& Gpu::the() {
    static Gpu* const gpu = new Gpu; // streams may outlive everything
    return *gpu;
}

void Gpu::arm(const Faults& faults) {
    const std::lock_guard guard(lock_);
    faults_ = faults;
    sticky_ = Code::success;
    calls_ = operations_ = creates_ = 0;
    ++arms_;
    armed_.notify_all();
}

Faults Gpu::faults() {
    const std::lock_guard guard(lock_);
    return faults_;
}

Code Gpu::standing() {
    const std::lock_guard guard(lock_);
    return sticky_;
}

Code Gpu::answer(std::string_view name) {
    std::unique_lock guard(lock_);
    if (name == faults_.block)
        armed_.wait(guard, [this, arms = arms_] { return arms_ != arms; });
    return name == faults_.fail.name ? faults_.fail.code : Code::success;
}

std::string Gpu::left() {
    const std::lock_guard guard(lock_);
    std::string text;
    const auto add = [&](std::size_t count, const char* what) {
        if (count != 0)
            text += (text.empty() ? "" : ", ") + std::to_string(count) + " " + what;
    };
    add(contexts_.size(), "contexts");
    add(streams, "streams");
    add(modules, "modules");
    add(memory_.size(), "handles of memory");
    add(reserved_.size(), "ranges");
    add(mapped_.size(), "mappings");
    add(host_.size(), "pieces of host memory");
    return text;
}

void Gpu::add_context(cuda::Context context) {
    const std::lock_guard guard(lock_);
    contexts_.insert(context);
}

void Gpu::remove_context(cuda::Context context) {
    const std::lock_guard guard(lock_);
    contexts_.erase(context);
}

bool Gpu::has_context(cuda::Context context) {
    const std::lock_guard guard(lock_);
    return contexts_.contains(context);
}

Code Gpu::create(std::uint64_t& handle, std::size_t size) {
    const std::lock_guard guard(lock_);
    if (size == 0 || size % granule != 0)
        return Code::invalid_value;
    if (creates_ >= faults_.oom_after || vram_taken() + size > faults_.vram_mib << 20)
        return Code::out_of_memory;
    Fd fd(::memfd_create("fake-vram", MFD_CLOEXEC));
    if (!fd || ::ftruncate(fd.get(), static_cast<off_t>(size)) != 0 || !vram_take(fd.get(), size))
        return Code::out_of_memory;
    // A GPU's memory is not promised to be blank.
    constexpr unsigned char rubbish = 0xE7;
    for (std::size_t at = 0; at < size; at += granule / 2)
        (void)::pwrite(fd.get(), &rubbish, 1, static_cast<off_t>(at));
    ++creates_;
    handle = next_handle_++;
    memory_[handle] = {.fd = std::move(fd), .size = size};
    return Code::success;
}

Code Gpu::release(std::uint64_t handle) {
    const std::lock_guard guard(lock_);
    return memory_.erase(handle) == 1 ? Code::success : Code::invalid_value;
}

Code Gpu::export_fd(std::uint64_t handle, int& fd) {
    const std::lock_guard guard(lock_);
    const auto found = memory_.find(handle);
    if (found == memory_.end() || faults_.no_posix_fds)
        return Code::invalid_value;
    fd = ::fcntl(found->second.fd.get(), F_DUPFD_CLOEXEC, 0);
    return fd >= 0 ? Code::success : Code::unknown;
}

Code Gpu::import_fd(std::uint64_t& handle, int fd) {
    const std::lock_guard guard(lock_);
    struct stat status{};
    if (faults_.refuse_import || ::fstat(fd, &status) != 0 || !S_ISREG(status.st_mode))
        return Code::invalid_value;
    if (status.st_size == 0) // some process saw the GPU go
        return Code::device_unavailable;
    handle = next_handle_++;
    memory_[handle] = {.fd = Fd(::fcntl(fd, F_DUPFD_CLOEXEC, 0)), .size = static_cast<std::size_t>(status.st_size)};
    return Code::success;
}

Code Gpu::reserve(Address& address, std::size_t size) {
    const std::lock_guard guard(lock_);
    if (size == 0 || size % granule != 0)
        return Code::invalid_value;
    void* const start = ::mmap(nullptr, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (start == MAP_FAILED)
        return Code::out_of_memory;
    const auto number = number_of(static_cast<std::byte*>(start));
    reserved_[number] = {.size = size};
    address = number + vram_bias;
    return Code::success;
}

Code Gpu::free_range(Address address, std::size_t size) {
    const std::lock_guard guard(lock_);
    const auto found = reserved_.find(address - vram_bias);
    const auto first = mapped_.lower_bound(address - vram_bias);
    if (found == reserved_.end() || found->second.size != size ||
        (first != mapped_.end() && first->first < found->first + size))
        return Code::invalid_value;
    ::munmap(pointer_of(found->first), size);
    reserved_.erase(found);
    return Code::success;
}

Code Gpu::map(Address address, std::size_t size, std::uint64_t handle) {
    const std::lock_guard guard(lock_);
    const std::uintptr_t start = address - vram_bias;
    const auto memory = memory_.find(handle);
    const auto next = mapped_.lower_bound(start);
    if (memory == memory_.end() || memory->second.size != size || !inside(reserved_, start, size, false) ||
        (next != mapped_.end() && next->first < start + size))
        return Code::invalid_value;
    if (::mmap(pointer_of(start), size, PROT_NONE, MAP_SHARED | MAP_FIXED, memory->second.fd.get(), 0) == MAP_FAILED)
        return Code::unknown;
    mapped_[start] = {.size = size};
    return Code::success;
}

Code Gpu::unmap(Address address, std::size_t size) {
    const std::lock_guard guard(lock_);
    const auto found = mapped_.find(address - vram_bias);
    if (found == mapped_.end() || found->second.size != size)
        return Code::invalid_value;
    (void)::mmap(pointer_of(found->first), size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1,
                 0);
    mapped_.erase(found);
    return Code::success;
}

Code Gpu::set_access(Address address, std::size_t size, std::uint32_t flags) {
    const std::lock_guard guard(lock_);
    const std::uintptr_t start = address - vram_bias;
    const bool access = flags == cuda::access_read_write;
    if (!inside(mapped_, start, size, false) ||
        ::mprotect(pointer_of(start), size, access ? PROT_READ | PROT_WRITE : PROT_NONE) != 0)
        return Code::invalid_value;
    for (auto& [from, range] : mapped_)
        if (from >= start && from < start + size)
            range.accessible = access;
    return Code::success;
}

Code Gpu::add_host(std::byte* memory, std::size_t size) {
    const std::lock_guard guard(lock_);
    const std::uintptr_t start = number_of(memory);
    auto next = host_.upper_bound(start);
    if (memory == nullptr || size == 0)
        return Code::invalid_value;
    if (next != host_.end() && next->first < start + size)
        return Code::already_registered;
    if (next != host_.begin() && (--next)->first + next->second.size > start)
        return Code::already_registered;
    host_[start] = {.size = size, .accessible = true};
    return Code::success;
}

Code Gpu::remove_host(std::byte* memory) {
    const std::lock_guard guard(lock_);
    return host_.erase(number_of(memory)) == 1 ? Code::success : Code::not_registered;
}

void Gpu::memory_info(std::size_t& free, std::size_t& total) {
    const std::lock_guard guard(lock_);
    total = faults_.vram_mib << 20;
    free = total - std::min(total, vram_taken());
}

/// Do ranges that touch each other cover all of it?
bool Gpu::inside(const Ranges& ranges, std::uintptr_t start, std::size_t size, bool access) {
    while (size != 0) {
        auto found = ranges.upper_bound(start);
        if (found == ranges.begin())
            return false;
        --found;
        const std::uintptr_t end = found->first + found->second.size;
        if (end <= start || (access && !found->second.accessible))
            return false;
        const std::size_t part = std::min<std::size_t>(size, end - start);
        start += part;
        size -= part;
    }
    return true;
}

bool Gpu::pinned(const std::byte* memory, std::size_t size) {
    const std::lock_guard guard(lock_);
    return inside(host_, number_of(memory), size, true);
}

/// Where a GPU's address leads, or null if nowhere.
std::byte* Gpu::reach(Address address, std::size_t size) const {
    if (address >= host_bias && inside(host_, address - host_bias, size, true))
        return static_cast<std::byte*>(pointer_of(address - host_bias));
    if (address >= vram_bias && inside(mapped_, address - vram_bias, size, true))
        return static_cast<std::byte*>(pointer_of(address - vram_bias));
    return nullptr;
}

Code Gpu::copy_now(Address vram, std::byte* host, std::size_t size, bool to_vram) {
    const std::lock_guard guard(lock_);
    std::byte* const place = reach(vram, size);
    if (place == nullptr)
        return Code::invalid_value;
    std::memcpy(to_vram ? place : host, to_vram ? host : place, size);
    return Code::success;
}

Code Gpu::admit(bool copy) {
    const std::lock_guard guard(lock_);
    if (copy && faults_.invalid_copies)
        return Code::invalid_value;
    if (sticky_ != Code::success)
        return sticky_;
    return ++calls_ == faults_.error_at.n ? faults_.error_at.code : Code::success;
}

/// The contents are gone, in every process that knows them; or are all zero, as after a reset.
void Gpu::lose(bool blank) {
    for (auto& [number, memory] : memory_) {
        (void)::ftruncate(memory.fd.get(), 0);
        if (blank)
            (void)::ftruncate(memory.fd.get(), static_cast<off_t>(memory.size));
    }
    // Not even when the faults are healed: there is nothing behind these addresses.
    for (auto& [start, range] : mapped_)
        range.accessible = range.accessible && blank;
}

/// Does the n-th operation break everything?
bool Gpu::struck(std::uint64_t number) {
    for (const At* const fault : {&faults_.sticky_at, &faults_.lost_at, &faults_.blank_at}) {
        if (fault->n != number)
            continue;
        sticky_ = fault->code;
        if (fault != &faults_.sticky_at)
            lose(fault == &faults_.blank_at);
        return true;
    }
    return false;
}

void Gpu::carry_out(const Operation& operation, bool flip) {
    std::byte* const vram = reach(operation.vram, operation.size);
    std::byte* const from = operation.kind == Operation::Kind::copy ? reach(operation.from, operation.size) : vram;
    const bool copy = operation.kind == Operation::Kind::to_vram || operation.kind == Operation::Kind::to_host;
    if (vram == nullptr || from == nullptr ||
        (copy && !inside(host_, number_of(operation.host), operation.size, true))) {
        sticky_ = Code::illegal_address;
        return;
    }
    std::byte* const target = operation.kind == Operation::Kind::to_host ? operation.host : vram; // of a flip
    switch (operation.kind) {
    case Operation::Kind::to_vram:
        std::memcpy(vram, operation.host, operation.size);
        break;
    case Operation::Kind::to_host:
        std::memcpy(operation.host, vram, operation.size);
        break;
    case Operation::Kind::copy:
        std::memcpy(vram, from, operation.size);
        break;
    case Operation::Kind::poll: // is not one operation
        break;
    case Operation::Kind::fill:
        std::memset(vram, static_cast<int>(operation.value), operation.size);
        break;
    case Operation::Kind::write_word:
        std::atomic_ref(*reinterpret_cast<std::uint32_t*>(vram)).store(operation.value, std::memory_order_release);
        return;
    }
    if (flip) {
        target[operation.size / 2] ^= std::byte{0x10};
        if (operation.kind != Operation::Kind::fill)
            Calls::the().note("a copy's flipped bit");
    }
}

std::byte* Gpu::reach_locked(Address address, std::size_t size) {
    const std::lock_guard guard(lock_);
    return reach(address, size);
}

void Gpu::wait_for_work() {
    std::unique_lock guard(lock_);
    armed_.wait(guard, [this] { return (programs_ == 0 && hanging_ == 0) || sticky_ != Code::success; });
}

void Gpu::poll(const Operation& operation) {
    struct Running {
        Gpu& gpu;
        explicit Running(Gpu& one) : gpu(one) {
            const std::lock_guard guard(gpu.lock_);
            ++gpu.programs_;
        }
        Running(const Running&) = delete;
        Running& operator=(const Running&) = delete;
        Running(Running&&) = delete;
        Running& operator=(Running&&) = delete;
        ~Running() {
            const std::lock_guard guard(gpu.lock_);
            --gpu.programs_;
            gpu.armed_.notify_all();
        }
    };
    const Running running(*this);
    auto* const entries =
        reinterpret_cast<cuda::Piece*>(reach_locked(operation.vram, operation.size * sizeof(cuda::Piece)));
    auto* const answers =
        reinterpret_cast<std::uint32_t*>(reach_locked(operation.answers, operation.size * sizeof(std::uint32_t)));
    std::uint32_t turn = 1;
    std::uint32_t stopped = 0; // blocks; they are told one after the other
    for (std::size_t i = 0; stopped < operation.value && standing() == Code::success; ++i) {
        if (i == operation.size) {
            i = 0;
            ++turn;
        }
        while (std::atomic_ref(entries[i].turn).load(std::memory_order_acquire) != turn) {
            if (standing() != Code::success)
                return;
            std::this_thread::yield();
        }
        if (entries[i].length == cuda::poll_stop) {
            ++stopped;
            continue;
        }
        execute(
            {.kind = Operation::Kind::copy, .vram = entries[i].to, .size = entries[i].length, .from = entries[i].from});
        if (standing() != Code::success)
            return; // also if it is healed right away: what is not answered now never is
        std::atomic_ref(answers[i]).store(turn, std::memory_order_release);
    }
}

void Gpu::execute(const Operation& operation) {
    std::unique_lock guard(lock_);
    if (sticky_ != Code::success)
        return; // a broken context does nothing more
    const std::uint64_t number = ++operations_;
    if (number == faults_.hang_at) {
        ++hanging_;
        armed_.wait(guard, [this, arms = arms_] { return arms_ != arms; });
        --hanging_;
        armed_.notify_all();
    }
    if (struck(number))
        return;
    const bool flip = number >= faults_.bitflip_at && operation.kind != Operation::Kind::write_word;
    if (flip)
        faults_.bitflip_at = never; // once
    carry_out(operation, flip);
}

} // namespace vramswap::fake_cuda

namespace vramswap::cuda {

ModuleBody::ModuleBody() {
    ++fake_cuda::Gpu::the().modules;
}

ModuleBody::~ModuleBody() {
    --fake_cuda::Gpu::the().modules;
}

StreamBody::StreamBody() : random_(static_cast<std::uint32_t>(reinterpret_cast<std::uintptr_t>(this) >> 4)) {
    ++fake_cuda::Gpu::the().streams;
    thread_ = std::thread([this] { work(); });
}

StreamBody::~StreamBody() {
    {
        const std::lock_guard guard(lock_);
        over_ = true;
    }
    changed_.notify_all();
    thread_.join();
    --fake_cuda::Gpu::the().streams;
}

void StreamBody::push(const fake_cuda::Operation& operation) {
    {
        const std::lock_guard guard(lock_);
        queue_.push_back(operation);
    }
    changed_.notify_all();
}

bool StreamBody::idle() {
    const std::lock_guard guard(lock_);
    return queue_.empty() && !busy_;
}

void StreamBody::wait() {
    std::unique_lock guard(lock_);
    changed_.wait(guard, [this] { return queue_.empty() && !busy_; });
}

void StreamBody::work() {
    constexpr unsigned longest_dawdling_us = 300;
    std::unique_lock guard(lock_);
    for (;;) {
        changed_.wait(guard, [this] { return over_ || !queue_.empty(); });
        if (queue_.empty())
            return;
        const fake_cuda::Operation operation = queue_.front();
        queue_.pop_front();
        busy_ = true;
        guard.unlock();
        const fake_cuda::Faults faults = fake_cuda::Gpu::the().faults();
        unsigned delay = faults.latency_us;
        if (faults.reorder)
            delay += static_cast<unsigned>(random_() % longest_dawdling_us);
        if (delay != 0)
            std::this_thread::sleep_for(std::chrono::microseconds(delay));
        if (operation.kind == fake_cuda::Operation::Kind::poll)
            fake_cuda::Gpu::the().poll(operation);
        else
            fake_cuda::Gpu::the().execute(operation);
        guard.lock();
        busy_ = false;
        changed_.notify_all();
    }
}

} // namespace vramswap::cuda
