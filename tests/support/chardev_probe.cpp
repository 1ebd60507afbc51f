// SPDX-License-Identifier: MIT
//
// chardev_probe: proves on /dev/vramswapcN that each misuse of a call gets the error that uapi/vramswap.h promises, and
// that nothing is lost by it. Each case starts from an empty device and leaves one behind. (ring_probe does the same
// for what a helper writes into the rings.)
//
//   chardev_probe [--device N] [CASE...]    these cases, or all that need no preparation; a line each
//   chardev_probe [--device N] --cycle N    N times: attach, start, write, read, stop
//   chardev_probe --list
//
// Exit status: 0 all as promised, 1 something was not, 2 bad usage.

#include "probe_helper.hpp"

#include <array>
#include <csignal>
#include <pthread.h>
#include <sys/wait.h>

namespace {

using namespace probe;

// ---- attach ----

void wrong_abi_version(Helper& helper) {
    helper.open();
    for (const std::uint32_t version : {0U, VRAMSWAP_ABI_VERSION + 1, ~0U}) {
        vramswap_attach args = good_attach(capacity);
        args.abi_version = version;
        expect(EPROTONOSUPPORT, helper.session().attach_with(args), fmt::format("ATTACH with ABI version {}", version));
        require(args.abi_version == VRAMSWAP_ABI_VERSION, "the kernel did not tell its ABI version");
    }
    expect(0, helper.session().attach(good_attach(capacity)), "ATTACH with the right version, on the same file");
}

void bad_capacity(Helper& helper) {
    helper.open();
    const std::array<std::uint64_t, 12> bad = {0,
                                               1,
                                               block,
                                               VRAMSWAP_MIN_CAPACITY - block,
                                               VRAMSWAP_MIN_CAPACITY + 1,
                                               capacity + 512,
                                               capacity - 1,
                                               VRAMSWAP_MAX_CAPACITY + 1,
                                               VRAMSWAP_MAX_CAPACITY + block,
                                               1ULL << 63,
                                               0 - block,
                                               ~0ULL};
    for (const std::uint64_t size : bad) {
        vramswap_attach args = good_attach(size);
        expect(ERANGE, helper.session().attach_with(args), fmt::format("ATTACH with capacity {}", size));
    }
    expect(0, helper.session().attach(good_attach(VRAMSWAP_MIN_CAPACITY)), "ATTACH with the smallest capacity");
}

void reserved_fields(Helper& helper) {
    helper.open();
    const auto refused = [&](const char* what, const std::function<void(vramswap_attach&)>& spoil) {
        vramswap_attach args = good_attach(capacity);
        spoil(args);
        expect(EINVAL, helper.session().attach_with(args), fmt::format("ATTACH with {}", what));
    };
    refused("flags 1", [](auto& args) { args.flags = 1; });
    refused("flags 1 << 31", [](auto& args) { args.flags = 1U << 31; });
    refused("reserved0", [](auto& args) { args.reserved0 = 1; });
    for (unsigned i = 0; i < std::size(vramswap_attach{}.reserved1); ++i)
        refused("reserved1", [i](auto& args) { args.reserved1[i] = 1; });
    refused("an unterminated label", [](auto& args) { std::ranges::fill(args.label, 'x'); });
    expect(0, helper.session().attach(good_attach(capacity)), "ATTACH with nothing wrong");
}

void bad_calls(Helper& helper) {
    helper.open();
    const int fd = helper.session().fd();
    std::array<char, 16> bytes{};
    require(ioctl(fd, VRAMSWAP_IOC_ATTACH, nullptr) == -1 && errno == EFAULT, "ATTACH with a null pointer: no EFAULT");
    require(ioctl(fd, _IO(VRAMSWAP_IOC_MAGIC, 0x7f)) == -1 && errno == ENOTTY, "an unknown ioctl: no ENOTTY");
    require(ioctl(fd, _IO('?', 0x02)) == -1 && errno == ENOTTY, "another driver's ioctl: no ENOTTY");
    require(::read(fd, bytes.data(), bytes.size()) == -1, "read on the control device succeeded");
    require(::write(fd, bytes.data(), bytes.size()) == -1, "write on the control device succeeded");
}

void unknown_contents(Helper& helper) {
    helper.open();
    expect(ESTALE, helper.session().attach(good_attach(capacity, 42)), "ATTACH with a cookie while nothing is held");
}

void second_attach(Helper& helper) {
    helper.attach();
    vramswap_attach fresh = good_attach(capacity);
    expect(EALREADY, helper.session().attach_with(fresh), "a second ATTACH");
    vramswap_attach named = good_attach(capacity, helper.cookie());
    expect(EALREADY, helper.session().attach_with(named), "a second ATTACH with the contents' name");
}

void second_opener(Helper& helper) {
    helper.open();
    expect(EBUSY, Session(helper.device()).open_error(), "a second open, before ATTACH");
    expect(0, helper.session().attach(good_attach(capacity)), "ATTACH");
    expect(EBUSY, Session(helper.device()).open_error(), "a second open, after ATTACH");
    helper.close();
    helper.go_live();
    expect(EBUSY, Session(helper.device()).open_error(), "a second open, after START");
    helper.write(0, block, 1);
}

// Only where the shape of the device asks for more staging than this machine has memory.
void no_memory_for_staging(Helper& helper) {
    helper.open();
    expect(ENOMEM, helper.session().attach(good_attach(capacity)), "ATTACH");
    expect(ENOTCONN, helper.session().start(), "START afterwards");
    helper.leave_as_it_is();
}

// ---- the order of calls ----

void calls_before_attach(Helper& helper) {
    prepare();
    helper.open();
    Mapping mapping;
    const vramswap_region region = {.offset = 0, .size = block};
    expect(ENOTCONN, helper.session().start(), "START before ATTACH");
    expect(ENOTCONN, helper.session().stop(), "STOP before ATTACH");
    expect(ENOTCONN, helper.session().enter(0), "ENTER before ATTACH");
    expect(ENOTCONN, helper.session().map(region, PROT_READ, MAP_SHARED, mapping), "mmap before ATTACH");
}

void calls_before_start(Helper& helper) {
    prepare();
    helper.attach();
    expect(ENOTCONN, helper.session().enter(0), "ENTER before START");
    expect(ENOTCONN, helper.session().enter(0, VRAMSWAP_ENTER_WAIT), "ENTER with WAIT before START");
    expect(0, helper.session().start(), "START");
    expect(0, helper.session().enter(0), "ENTER");
}

void second_start(Helper& helper) {
    helper.go_live();
    expect(EALREADY, helper.session().start(), "a second START");
    helper.write(0, block, 1);
    helper.read(0, block, 1);
}

void calls_after_stop(Helper& helper) {
    helper.go_live();
    helper.write(0, block, 1);
    expect(0, helper.session().stop(), "STOP");
    expect(ESHUTDOWN, helper.session().stop(), "STOP after STOP");
    expect(ESHUTDOWN, helper.session().start(), "START after STOP");
    expect(ESHUTDOWN, helper.session().enter(0), "ENTER after STOP");
    expect(ESHUTDOWN, helper.session().enter(0, VRAMSWAP_ENTER_WAIT), "ENTER with WAIT after STOP");
    helper.go_live(); // while the stopped file is still open
    require(!helper.session().block_has_data(0), "new contents start with blocks in use");
}

// ---- preparation for reclaim ----

void unprepared_start(Helper& helper) {
    helper.attach();
    expect(EDEADLK, helper.session().start(), "START by a thread that is no I/O flusher, memory not locked");
    lock_memory(true);
    expect(EDEADLK, helper.session().start(), "START by a thread that is no I/O flusher");
    lock_memory(false);
    be_io_flusher(true);
    expect(EDEADLK, helper.session().start(), "START with memory that is not locked");
    require(mlockall(MCL_CURRENT) == 0, "mlockall");
    expect(EDEADLK, helper.session().start(), "START with only present memory locked");
    lock_memory(true);
    expect(0, helper.session().start(), "START, prepared");
    helper.write(0, block, 1);
}

void unprepared_enter(Helper& helper) {
    helper.go_live();
    be_io_flusher(false);
    expect(EDEADLK, helper.session().enter(0), "ENTER by a thread that is no I/O flusher");
    expect(EDEADLK, helper.session().enter(0, VRAMSWAP_ENTER_WAIT), "ENTER with WAIT by such a thread");
    be_io_flusher(true);
    helper.write(0, block, 1);
}

// ---- enter ----

void bad_enter(Helper& helper) {
    helper.go_live();
    const auto refused = [&](const char* what, const std::function<void(vramswap_enter&)>& spoil) {
        vramswap_enter args = {};
        spoil(args);
        expect(EINVAL, helper.session().enter_with(args), fmt::format("ENTER with {}", what));
    };
    const unsigned queues = helper.session().shape().queues;
    refused("a queue too many", [queues](auto& args) { args.queue = queues; });
    refused("queue ~0", [](auto& args) { args.queue = ~0U; });
    refused("an unknown flag", [](auto& args) { args.flags = VRAMSWAP_ENTER_WAIT << 1; });
    refused("unknown flags", [](auto& args) { args.flags = ~0U; });
    refused("reserved0", [](auto& args) { args.reserved0 = 1; });
    require(ioctl(helper.session().fd(), VRAMSWAP_IOC_ENTER, nullptr) == -1 && errno == EFAULT,
            "ENTER with a null pointer: no EFAULT");
    helper.write(0, block, 1);
}

// A thread that waits in ENTER until a signal comes.
class Sleeper {
public:
    explicit Sleeper(Session& session)
        : thread_([this, &session] {
              error_ = session.enter(0, VRAMSWAP_ENTER_WAIT);
              back_ = true;
          }) {}

    [[nodiscard]] bool back() const { return back_; }
    // Again and again, as the first signals may come before the thread sleeps. Returns what ENTER said.
    int interrupt() {
        Helper::wait_until(
            [this] {
                if (!back_)
                    pthread_kill(thread_.native_handle(), SIGUSR1);
                std::this_thread::sleep_for(std::chrono::milliseconds(1));
                return back_.load();
            },
            "ENTER to be interrupted");
        thread_.join();
        return error_;
    }

private:
    std::atomic<bool> back_ = false;
    int error_ = 0;
    std::thread thread_; // last: it uses all of the above
};

void catch_usr1() {
    struct sigaction action = {};
    action.sa_handler = [](int) {}; // no SA_RESTART
    require(sigaction(SIGUSR1, &action, nullptr) == 0, "sigaction");
}

void interrupted_enter(Helper& helper) {
    helper.go_live();
    catch_usr1();
    Sleeper sleeper(helper.session());
    expect(EINTR, sleeper.interrupt(), "ENTER with WAIT, when a signal came");
    helper.write(0, block, 1);
}

void second_sleeper(Helper& helper) {
    helper.go_live();
    catch_usr1();
    Sleeper one(helper.session());
    Sleeper other(helper.session());
    Helper::wait_until([&] { return one.back() || other.back(); }, "the second sleeper to be turned away");
    const int first = one.interrupt();
    const int second = other.interrupt();
    expect(EBUSY, first == EINTR ? second : first, "ENTER with WAIT by a second thread for the same queue");
    expect(EINTR, first == EINTR ? first : second, "ENTER with WAIT by the first thread");
    helper.write(0, block, 1);
}

// ---- mmap ----

void map_to_write(Helper& helper) {
    helper.attach();
    Session& session = helper.session();
    const vramswap_attach& shape = session.shape();
    Mapping mapping;
    for (const auto& region : {shape.sq, shape.map}) {
        expect(EACCES, session.map(region, PROT_READ | PROT_WRITE, MAP_SHARED, mapping), "mmap of SQ or map to write");
        expect(EACCES, session.map(region, PROT_WRITE, MAP_SHARED, mapping), "mmap of SQ or map only to write");
        expect(0, session.map(region, PROT_READ, MAP_SHARED, mapping), "mmap of SQ or map to read");
        const int result = mprotect(mapping.address(), mapping.size(), PROT_READ | PROT_WRITE);
        require(result == -1 && errno == EACCES, "mprotect made SQ or map writable");
        const Fd memory(open("/proc/self/mem", O_RDWR | O_CLOEXEC));
        const auto address = static_cast<off_t>(reinterpret_cast<std::uintptr_t>(mapping.address()));
        require(pwrite(memory.get(), "x", 1, address) == -1, "SQ or map was written through /proc/self/mem");
    }
}

void map_to_execute(Helper& helper) {
    helper.attach();
    Session& session = helper.session();
    const vramswap_attach& shape = session.shape();
    Mapping mapping;
    for (const auto& region : {shape.sq, shape.cq, shape.staging, shape.map}) {
        expect(EACCES, session.map(region, PROT_READ | PROT_EXEC, MAP_SHARED, mapping), "mmap to execute");
        expect(0, session.map(region, PROT_READ, MAP_SHARED, mapping), "mmap to read");
        const int result = mprotect(mapping.address(), mapping.size(), PROT_READ | PROT_EXEC);
        require(result == -1 && errno == EACCES, "mprotect made a region executable");
    }
}

void map_privately(Helper& helper) {
    helper.attach();
    const vramswap_attach& shape = helper.session().shape();
    Mapping mapping;
    for (const auto& region : {shape.sq, shape.cq, shape.staging, shape.map}) {
        expect(EINVAL, helper.session().map(region, PROT_READ, MAP_PRIVATE, mapping), "a private mmap");
        expect(EINVAL, helper.session().map(region, PROT_READ | PROT_WRITE, MAP_PRIVATE, mapping),
               "a private mmap to write");
    }
}

void map_elsewhere(Helper& helper) {
    helper.attach();
    const vramswap_attach& shape = helper.session().shape();
    Mapping mapping;
    const auto refused = [&](std::uint64_t offset, std::uint64_t size, const char* what) {
        expect(EINVAL, helper.session().map({.offset = offset, .size = size}, PROT_READ, MAP_SHARED, mapping), what);
    };
    for (const auto& region : {shape.sq, shape.cq, shape.staging, shape.map}) {
        refused(region.offset, region.size + block, "mmap of a page too many");
        refused(region.offset + block, region.size, "mmap a page too far");
        if (region.size > block) {
            refused(region.offset, region.size - block, "mmap of a page too few");
            refused(region.offset + block, region.size - block, "mmap of a region's end");
        }
    }
    refused(1ULL << 50, block, "mmap where nothing is");
}

void map_grown(Helper& helper) {
    helper.attach();
    Mapping mapping;
    expect(0, helper.session().map(helper.session().shape().cq, PROT_READ, MAP_SHARED, mapping), "mmap");
    require(mremap(mapping.address(), mapping.size(), mapping.size() + block, MREMAP_MAYMOVE) == MAP_FAILED,
            "mremap made a mapping grow past its region");
}

// A child that is forked off must not keep the session's memory.
void map_inherited(Helper& helper) {
    helper.attach();
    const pid_t child = fork();
    require(child >= 0, "fork");
    if (child == 0) {
        const auto* byte = reinterpret_cast<const volatile std::byte*>(helper.session().sq().address());
        _exit(static_cast<int>(*byte) * 0);
    }
    int status = 0;
    require(waitpid(child, &status, 0) == child, "waitpid");
    require(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV, "a forked child could read the SQ");
}

// ---- stop ----

void stop_in_use(Helper& helper) {
    helper.go_live();
    helper.write(0, 8 * block, 1);
    const std::string path = fmt::format("/dev/vramswap{}", helper.device());
    Fd user(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_DIRECT));
    require(user.get() >= 0, "open of the block device");
    expect(EBUSY, helper.session().stop(), "STOP while the block device is open");
    expect(EBUSY, helper.session().stop(), "STOP again");
    helper.read(0, 8 * block, 1);
    helper.write(0, 8 * block, 2);
    helper.read(0, 8 * block, 2);
    user.close();
    expect(0, helper.session().stop(), "STOP once it is closed");
    require(disk_capacity(helper.device()) == 0, "a stopped device has a capacity");
}

// ---- the cycle ----

void cycle(Helper& helper) {
    helper.go_live();
    helper.write(0, 32 * block, 1);
    helper.read(0, 32 * block, 1);
    expect(0, helper.session().stop(), "STOP");
}

int run_cycles(unsigned device, unsigned count) {
    bool good = true;
    for (unsigned i = 0; i < count && good; ++i)
        good = run_case({.name = "cycle", .run = cycle}, device);
    return good ? 0 : 1;
}

constexpr std::array cases = {
    Case{"wrong_abi_version", wrong_abi_version},
    Case{"bad_capacity", bad_capacity},
    Case{"reserved_fields", reserved_fields},
    Case{"bad_calls", bad_calls},
    Case{"unknown_contents", unknown_contents},
    Case{"second_attach", second_attach},
    Case{"second_opener", second_opener},
    Case{"no_memory_for_staging", no_memory_for_staging, true},
    Case{"calls_before_attach", calls_before_attach},
    Case{"calls_before_start", calls_before_start},
    Case{"second_start", second_start},
    Case{"calls_after_stop", calls_after_stop},
    Case{"unprepared_start", unprepared_start},
    Case{"unprepared_enter", unprepared_enter},
    Case{"bad_enter", bad_enter},
    Case{"interrupted_enter", interrupted_enter},
    Case{"second_sleeper", second_sleeper},
    Case{"map_to_write", map_to_write},
    Case{"map_to_execute", map_to_execute},
    Case{"map_privately", map_privately},
    Case{"map_elsewhere", map_elsewhere},
    Case{"map_grown", map_grown},
    Case{"map_inherited", map_inherited},
    Case{"stop_in_use", stop_in_use},
};

} // namespace

int main(int argc, char** argv) try {
    const Arguments arguments = parse_arguments({argv, static_cast<std::size_t>(argc)});
    if (arguments.cycles != 0)
        return run_cycles(arguments.device, arguments.cycles);
    return arguments.list ? list_cases(cases) : run_cases(cases, arguments.names, arguments.device);
} catch (const std::exception& error) {
    std::fputs(error.what(), stderr);
    return 2;
}
