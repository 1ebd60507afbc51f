// SPDX-License-Identifier: MIT
// A GPU that hangs ends the process that waits for it, wherever that waits, after some seconds and with a word.
#include "cuda_rig.hpp"

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <functional>
#include <utility>

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <helper/engines.hpp>

using namespace vramswap;
using namespace vramswap::test;
using namespace std::chrono_literals;

namespace {

constexpr int beyond_the_hang = 99;
constexpr int killed = -1;

/// A process that does something, and at last ends with beyond_the_hang. They wait beside each other: a hang takes
/// long.
class Process {
public:
    explicit Process(const std::function<void()>& what) : words_(::memfd_create("words", MFD_CLOEXEC)) {
        pid_ = ::fork();
        REQUIRE(pid_ >= 0);
        if (pid_ != 0)
            return;
        ::dup2(words_.get(), STDERR_FILENO);
        try {
            what();
        } catch (...) { // NOLINT(bugprone-empty-catch): Catch2 has said it
            ::_exit(2);
        }
        ::_exit(beyond_the_hang);
    }

    Process(const Process&) = delete;
    Process& operator=(const Process&) = delete;
    Process(Process&& other) noexcept : words_(std::move(other.words_)), pid_(std::exchange(other.pid_, 0)) {}
    Process& operator=(Process&&) = delete;
    ~Process() {
        if (pid_ <= 0)
            return;
        (void)::kill(pid_, SIGKILL);
        (void)::waitpid(pid_, nullptr, 0);
    }

    /// Its exit status, or `killed` if it had to be.
    int end() {
        int status = 0;
        const auto until = std::chrono::steady_clock::now() + 60s;
        while (::waitpid(pid_, &status, WNOHANG) == 0) {
            if (std::chrono::steady_clock::now() > until)
                (void)::kill(pid_, SIGKILL);
            std::this_thread::sleep_for(10ms);
        }
        pid_ = 0;
        return WIFEXITED(status) ? WEXITSTATUS(status) : killed;
    }

    /// What it said.
    [[nodiscard]] std::string words() const {
        std::string text(4096, '\0');
        const auto got = ::pread(words_.get(), text.data(), text.size(), 0);
        text.resize(static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
        return text;
    }

private:
    Fd words_;
    pid_t pid_ = 0;
};

void ends_with_a_word(Process& process) {
    const int status = process.end();
    INFO(process.words());
    REQUIRE(status == EXIT_FAILURE);
    REQUIRE(process.words().find("the GPU hangs") != std::string::npos);
}

} // namespace

TEST_CASE("a GPU that hangs before the device is live ends the worker, whatever the path") {
    std::vector<Process> workers;
    for (const CudaPath path : cuda_paths)
        workers.emplace_back([path] {
            CudaRig rig("", cuda_capacity, path);
            REQUIRE(rig.engine->open(rig.capacity).has_value());
            REQUIRE(rig.engine->bind(rig.staging).has_value());
            auto lane = rig.engine->lane(0, cuda_depth);
            REQUIRE(lane.has_value());
            rig.fake.arm("hang_at=1");
            REQUIRE(!(*lane)->begin().has_value());
            lane->reset(); // must not wait for ever, and cannot go on
        });
    for (Process& worker : workers)
        ends_with_a_word(worker);
}

TEST_CASE("a GPU that hangs while its memory is zeroed or a mark is written ends the worker") {
    std::vector<Process> workers;
    for (const char* const fault : {"hang_at=1", "hang_at=2", "hang_at=3"})
        workers.emplace_back([fault] {
            CudaRig rig("", 66U << 20); // two chunks
            rig.fake.arm(fault);
            (void)rig.engine->open(rig.capacity);
        });
    for (Process& worker : workers)
        ends_with_a_word(worker);
}

TEST_CASE("a GPU that hangs while a successor looks for the mark ends it") {
    Process successor([] {
        CudaRig rig;
        rig.open();
        auto inherited = duplicates(rig.engine->kept());
        auto engine = CudaEngine::make({.contents = true, .libcuda = fake_library});
        REQUIRE(engine.has_value());
        rig.fake.arm("hang_at=1");
        (void)(*engine)->adopt(rig.capacity, inherited);
    });
    ends_with_a_word(successor);
}

TEST_CASE("a GPU that hangs while contents are overwritten is an error, and ends the process when all is let go of") {
    Process worker([] {
        CudaRig rig("", 66U << 20);
        rig.open();
        rig.fake.arm("hang_at=2");
        const auto erased = rig.engine->erase();
        REQUIRE(!erased.has_value());
        REQUIRE(erased.error().code == ETIMEDOUT);
        REQUIRE(erased.error().message.find("the GPU hangs") != std::string::npos);
        const auto since = std::chrono::steady_clock::now();
        REQUIRE(!rig.engine->erase().has_value()); // which does not wait once more
        REQUIRE(std::chrono::steady_clock::now() - since < 1s);
        rig.lane.reset();
        rig.engine->unbind();
    });
    ends_with_a_word(worker);
}

TEST_CASE("a GPU that hangs while a predecessor's memory is overwritten is left alone, which is said") {
    Process process([] {
        constexpr std::uint64_t size = 66U << 20;
        CudaRig rig("", size);
        REQUIRE(rig.engine->open(size).has_value());
        auto inherited = duplicates(rig.engine->kept());
        const Record record{.capacity = size, .engine = EngineChoice::cuda, .store = rig.engine->uuid()};
        const Fake hanging("hang_at=1");
        engines::erase(record, inherited, Log::to_standard_error());
    });
    const int status = process.end();
    INFO(process.words());
    REQUIRE(status == beyond_the_hang);
    REQUIRE(process.words().find("2 of 2 chunks (the GPU hangs: ") != std::string::npos);
}

TEST_CASE("a GPU that is slow to zero its memory is waited for") {
    CudaRig rig;
    rig.fake.arm("latency_us=1500000");
    REQUIRE(rig.engine->open(rig.capacity).has_value());
    REQUIRE(rig.engine->erase().has_value());
}
