// SPDX-License-Identifier: MIT
//
// What the probes share: checks, I/O as others do it, a correct helper that can be told to misbehave, a list of cases.
#pragma once

#include "probe_session.hpp"

#include <array>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <fmt/format.h>

#include <linux/fs.h>
#include <sys/prctl.h>

namespace probe {

inline constexpr std::uint64_t block = VRAMSWAP_BLOCK_SIZE;
inline constexpr std::uint64_t capacity = 1024 * block;
inline constexpr std::chrono::seconds patience{20}; // emulated guests are slow; nothing here takes a second

inline std::string error_name(int error) {
    const char* name = error == 0 ? "success" : strerrorname_np(error);
    return name != nullptr ? name : fmt::format("errno {}", error);
}

struct Failure : std::runtime_error {
    using std::runtime_error::runtime_error;
};

inline void require(bool good, const std::string& what) {
    if (!good)
        throw Failure(what);
}

inline void expect(int expected, int got, const std::string& what) {
    require(got == expected, fmt::format("{}: expected {}, got {}", what, error_name(expected), error_name(got)));
}

// ---- a thread's and a process's preparation for reclaim ----

inline void be_io_flusher(bool on) {
    require(prctl(PR_SET_IO_FLUSHER, on ? 1 : 0, 0, 0, 0) == 0, "PR_SET_IO_FLUSHER");
}

inline void lock_memory(bool on) {
    require((on ? mlockall(MCL_CURRENT | MCL_FUTURE) : munlockall()) == 0, "mlockall");
}

inline void prepare() {
    be_io_flusher(true);
    lock_memory(true);
}

// ---- I/O on the block device, as others do it ----

// Contents of a block that tell which one it is.
inline std::uint64_t pattern_word(std::uint64_t number, std::uint64_t version, std::size_t word) {
    return ((number * 0x9e3779b97f4a7c15) ^ (version << 32)) + word + 1;
}

class Io {
public:
    enum class Kind : std::uint8_t { read, write };

    // Starts at once, in a thread of its own; `offset` and `length` are whole blocks.
    Io(unsigned device, Kind kind, std::uint64_t offset, std::size_t length, std::uint64_t version)
        : kind_(kind), offset_(offset), length_(length), version_(version),
          memory_(static_cast<std::uint64_t*>(std::aligned_alloc(block, length)), &std::free),
          thread_([this, device] { run(device); }) {}

    [[nodiscard]] bool done() const { return done_; }
    // What its thread has used of a processor; only while it is not done.
    [[nodiscard]] std::chrono::nanoseconds cpu_time() {
        clockid_t clock = 0;
        timespec used = {};
        require(pthread_getcpuclockid(thread_.native_handle(), &clock) == 0 && clock_gettime(clock, &used) == 0,
                "a thread's clock");
        return std::chrono::seconds(used.tv_sec) + std::chrono::nanoseconds(used.tv_nsec);
    }
    // Waits for the end: 0 or an errno.
    int error() {
        if (thread_.joinable())
            thread_.join();
        return error_;
    }
    [[nodiscard]] bool holds_pattern() const {
        for (std::size_t i = 0; i < length_ / sizeof(std::uint64_t); ++i)
            if (memory_.get()[i] != word(i))
                return false;
        return true;
    }

private:
    static constexpr std::size_t block_words = block / sizeof(std::uint64_t);

    [[nodiscard]] std::uint64_t word(std::size_t i) const {
        return pattern_word((offset_ / block) + (i / block_words), version_, i % block_words);
    }

    void run(unsigned device) {
        const Fd fd(open(fmt::format("/dev/vramswap{}", device).c_str(), O_RDWR | O_DIRECT | O_CLOEXEC));
        error_ = fd.get() < 0 ? errno : transfer(fd.get());
        done_ = true;
    }

    int transfer(int fd) {
        if (kind_ == Kind::write)
            for (std::size_t i = 0; i < length_ / sizeof(std::uint64_t); ++i)
                memory_.get()[i] = word(i);
        const auto at = static_cast<off_t>(offset_);
        const ssize_t moved =
            kind_ == Kind::write ? pwrite(fd, memory_.get(), length_, at) : pread(fd, memory_.get(), length_, at);
        if (moved < 0)
            return errno;
        return static_cast<std::size_t>(moved) == length_ ? 0 : ENODATA;
    }

    Kind kind_;
    std::uint64_t offset_;
    std::size_t length_;
    std::uint64_t version_;
    std::unique_ptr<std::uint64_t, decltype(&std::free)> memory_;
    std::atomic<bool> done_ = false;
    int error_ = 0;
    std::thread thread_; // last: it uses all of the above
};

// Bytes.
inline std::uint64_t disk_capacity(unsigned device) {
    const Fd fd(open(fmt::format("/dev/vramswap{}", device).c_str(), O_RDONLY | O_CLOEXEC));
    std::uint64_t bytes = 0;
    require(ioctl(fd.get(), BLKGETSIZE64, &bytes) == 0, "BLKGETSIZE64");
    return bytes;
}

// ---- a correct helper ----

struct Taken {
    unsigned queue = 0;
    vramswap_sqe sqe = {};

    [[nodiscard]] vramswap_cqe answer(std::uint16_t status = VRAMSWAP_STATUS_OK) const {
        return {.slot = sqe.slot, .status = status, .generation = sqe.generation};
    }
};

class Helper {
public:
    explicit Helper(unsigned device) : device_(device), store_(capacity) {}

    [[nodiscard]] unsigned device() const { return device_; }
    Session& session() { return *session_; }
    Store& store() { return store_; }
    [[nodiscard]] std::uint64_t cookie() const { return cookie_; }

    void open() {
        session_ = std::make_unique<Session>(device_);
        expect(0, session_->open_error(), "open");
    }
    // A new session, up to where the ring can be used; `with_contents`: to take over what is held.
    void attach(bool with_contents = false) {
        open();
        expect(0, session_->attach(good_attach(capacity, with_contents ? cookie_ : 0)), "ATTACH");
        require(session_->shape().cookie != 0, "ATTACH gave no name to the contents");
        require(!with_contents || session_->shape().cookie == cookie_, "ATTACH renamed the contents");
        cookie_ = session_->shape().cookie;
        expect(0, session_->map_all(), "mmap");
    }
    void go_live(bool with_contents = false) {
        prepare();
        attach(with_contents);
        expect(0, session_->start(), "START");
    }
    // Another helper comes. As long as the one before has its file open, or mapped, it could still write to the store.
    void take_over() {
        std::unique_ptr<Session> older = std::move(session_);
        open();
        expect(EBUSY, session_->attach(good_attach(capacity, cookie_)),
               "ATTACH while the ended session has its file open");
        close();
        older.reset();
        go_live(true);
    }

    // The next request, whichever queue it comes by.
    Taken take() {
        Taken taken;
        wait_until([&] { return take_one(taken); }, "a request to come");
        return taken;
    }
    void answer(const Taken& taken) {
        store_.serve(session(), taken.queue, taken.sqe);
        session().put(taken.queue, taken.answer());
        int count = 0;
        expect(0, session().enter(taken.queue, 0, &count), "ENTER with a good CQE");
        require(count == 1, fmt::format("ENTER took {} CQEs, not 1", count));
    }
    // As vramswapd does: without ENTER while a submitter waits awake, who takes the CQE.
    void answer_if_need_be_enter(const Taken& taken) {
        store_.serve(session(), taken.queue, taken.sqe);
        session().put(taken.queue, taken.answer());
        if (!session().kernel_reaps(taken.queue))
            expect(0, session().enter(taken.queue), "ENTER with a good CQE");
    }
    void serve_until(const std::function<bool()>& done, const char* what) {
        wait_until(
            [&] {
                Taken taken;
                if (take_one(taken))
                    answer(taken);
                return done();
            },
            what);
    }
    // Serves this I/O to its end.
    int finish(Io& io) {
        serve_until([&] { return io.done(); }, "I/O to end");
        return io.error();
    }

    void write(std::uint64_t offset, std::size_t length, std::uint64_t version) {
        Io io(device_, Io::Kind::write, offset, length, version);
        expect(0, finish(io), "write");
    }
    void read(std::uint64_t offset, std::size_t length, std::uint64_t version) {
        expect_right(*read_later(offset, length, version));
    }

    // The read is under way when this returns, or will be.
    [[nodiscard]] std::unique_ptr<Io> read_later(std::uint64_t offset, std::size_t length,
                                                 std::uint64_t version) const {
        return std::make_unique<Io>(device_, Io::Kind::read, offset, length, version);
    }
    // Serves the read to its end and checks what it brought.
    void expect_right(Io& io) {
        expect(0, finish(io), "read");
        require(io.holds_pattern(), "the read returned other bytes than were written");
    }
    void discard(std::uint64_t offset, std::uint64_t length) const {
        const Fd fd(::open(fmt::format("/dev/vramswap{}", device_).c_str(), O_RDWR | O_CLOEXEC));
        const std::array<std::uint64_t, 2> range = {offset, length};
        require(ioctl(fd.get(), BLKDISCARD, range.data()) == 0, "BLKDISCARD");
    }
    void close() { session_.reset(); }

    // The case ends with a device that cannot be attached to.
    void leave_as_it_is() { leave_ = true; }
    // Back to an empty device, whatever the case has left.
    void reset() {
        if (leave_)
            return;
        if (session_ != nullptr)
            session_->stop(); // of no use to a session that has ended
        close();
        give_up_contents();
        Session fresh(device_);
        expect(0, fresh.open_error(), "open afterwards");
        expect(0, fresh.attach(good_attach(capacity)), "ATTACH afterwards");
        expect(0, fresh.stop(), "STOP afterwards");
    }

    // A wait in vain ends the program: a thread may be stuck in I/O, so the case cannot be unwound.
    static void wait_until(const std::function<bool()>& done, const char* what) {
        const auto end = std::chrono::steady_clock::now() + patience;
        while (!done()) {
            if (std::chrono::steady_clock::now() > end) {
                fmt::print("FAIL: waited {} s in vain for {}\n", patience.count(), what);
                std::fflush(stdout);
                std::_Exit(1);
            }
            std::this_thread::yield();
        }
    }

private:
    // Of an ended session, if any are held.
    void give_up_contents() const {
        Session last(device_);
        if (cookie_ != 0 && last.open_error() == 0 && last.attach(good_attach(capacity, cookie_)) == 0)
            expect(0, last.stop(), "STOP of what was held");
    }

    bool take_one(Taken& taken) {
        for (taken.queue = 0; taken.queue < session().shape().queues; ++taken.queue)
            if (session().take(taken.queue, taken.sqe))
                return true;
        return false;
    }

    unsigned device_;
    Store store_;
    std::uint64_t cookie_ = 0;
    bool leave_ = false;
    std::unique_ptr<Session> session_;
};

// ---- cases ----

struct Case {
    const char* name = nullptr;
    void (*run)(Helper&) = nullptr;
    bool prepared = false; // needs something from the caller: not run unless named
};

// One line for each; false if it failed.
inline bool run_case(const Case& test, unsigned device) {
    Helper helper(device);
    std::string failure;
    try {
        test.run(helper);
        be_io_flusher(false);
        lock_memory(false);
        helper.reset();
    } catch (const Failure& error) {
        failure = error.what();
    }
    fmt::print("{}: {}{}{}\n", failure.empty() ? "ok" : "FAIL", test.name, failure.empty() ? "" : ": ", failure);
    std::fflush(stdout);
    return failure.empty();
}

// Runs the cases named, or all that need no preparation. Returns an exit status.
inline int run_cases(std::span<const Case> cases, const std::vector<std::string_view>& names, unsigned device) {
    bool good = true;
    std::size_t known = 0;
    for (const Case& test : cases) {
        const auto named = std::ranges::count(names, std::string_view(test.name));
        known += static_cast<std::size_t>(named);
        if (named != 0 || (names.empty() && !test.prepared))
            good = run_case(test, device) && good;
    }
    if (known != names.size()) {
        fmt::print(stderr, "no such case; --list names them\n");
        return 2;
    }
    return good ? 0 : 1;
}

inline int list_cases(std::span<const Case> cases) {
    for (const Case& test : cases)
        fmt::print("{}{}\n", test.name, test.prepared ? " (needs preparation)" : "");
    return 0;
}

struct Arguments {
    bool list = false;
    unsigned device = 0;
    unsigned cycles = 0;
    std::vector<std::string_view> names;
};

inline Arguments parse_arguments(std::span<char* const> argv) {
    Arguments arguments;
    for (std::size_t i = 1; i < argv.size(); ++i) {
        const std::string_view word = argv[i];
        if (word == "--list")
            arguments.list = true;
        else if (word == "--device" && i + 1 < argv.size())
            arguments.device = static_cast<unsigned>(std::stoul(argv[++i]));
        else if (word == "--cycle" && i + 1 < argv.size())
            arguments.cycles = static_cast<unsigned>(std::stoul(argv[++i]));
        else
            arguments.names.push_back(word);
    }
    return arguments;
}

} // namespace probe
