// SPDX-License-Identifier: MIT
// The keeper: what a worker hands to it is there for the next one, however the worker ended.
#include "catch.hpp"

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <helper/keeper.hpp>
#include <helper/memory_file.hpp>
#include <helper/session_state.hpp>

using namespace vramswap;

namespace {

/// How long it takes after a look for dead children that found none, microseconds.
std::atomic<useconds_t> dawdle_after_look = 0;

} // namespace

/// In the place of libc's.
extern "C" pid_t waitpid(pid_t pid, int* status, int options) {
    const auto found = static_cast<pid_t>(::syscall(SYS_wait4, pid, status, options, nullptr));
    if (found == 0 && dawdle_after_look != 0)
        ::usleep(dawdle_after_look);
    return found;
}

namespace {

/// A counter that workers, processes of their own, share with the test.
class Counter {
public:
    Counter()
        : memory_(::mmap(nullptr, sizeof(std::atomic<int>), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)),
          count_(std::construct_at(static_cast<std::atomic<int>*>(memory_), 0)) {}
    Counter(const Counter&) = delete;
    Counter& operator=(const Counter&) = delete;
    Counter(Counter&&) = delete;
    Counter& operator=(Counter&&) = delete;
    ~Counter() { ::munmap(memory_, sizeof(std::atomic<int>)); }

    int next() const { return ++*count_; }
    int value() const { return *count_; }

private:
    void* memory_;
    std::atomic<int>* count_;
};

Result<int> run(const Keeper::Work& work) {
    return Keeper({}, Log::to_standard_error()).run(work);
}

constexpr std::string_view text = "what was swapped out";

/// Hands over contents, of which a successor can tell that they are these.
bool keep_contents(const KeeperLink& link) {
    const auto file = make_memory_file("keeper-test", 4096);
    const auto other = make_memory_file("keeper-test", 4096);
    return file && other && ::pwrite(file->get(), text.data(), text.size(), 0) == std::ssize(text) &&
           link.keep(SessionState::kept_name, file->get()).has_value() &&
           link.keep("another", other->get()).has_value();
}

bool has_contents(KeeperLink& link) {
    std::string found(text.size(), '\0');
    const auto kept = link.take_fds();
    return kept.size() == 2 && kept[0].name == SessionState::kept_name && kept[1].name == "another" &&
           ::pread(kept[0].fd.get(), found.data(), found.size(), 0) == std::ssize(found) && found == text;
}

} // namespace

TEST_CASE("a worker that ends with 0 ends the keeper") {
    CHECK(run([](KeeperLink) { return 0; }).value() == 0);
}

TEST_CASE("a worker that fails with nothing to keep ends the keeper with its status") {
    const Counter starts;
    CHECK(run([&](KeeperLink) {
              starts.next();
              return 3;
          }).value() == 3);
    CHECK(starts.value() == 1);
}

TEST_CASE("a worker that is killed with nothing to keep is reported as a shell would") {
    CHECK(run([](KeeperLink) { return ::raise(SIGKILL); }).value() == 128 + SIGKILL);
}

TEST_CASE("what a killed worker handed over is there for the next, and for the one after it") {
    const Counter starts;
    const int ends = GENERATE(SIGKILL, SIGSEGV, 0);
    CHECK(run([&](KeeperLink link) {
              const int start = starts.next();
              if (start == 1 ? !keep_contents(link) : !has_contents(link))
                  return 0; // too few starts tell
              link.live();
              if (start == 3)
                  return 0;
              if (ends != 0)
                  ::raise(ends);
              return 1;
          }).value() == 0);
    CHECK(starts.value() == 3);
}

TEST_CASE("a worker that fails before any was live is not started again") {
    const Counter starts;
    CHECK(run([&](KeeperLink link) {
              starts.next();
              (void)keep_contents(link);
              return 1;
          }).value() == 1);
    CHECK(starts.value() == 1);
}

TEST_CASE("contents that were forgotten are not gone on with") {
    const Counter starts;
    CHECK(run([&](KeeperLink link) {
              starts.next();
              (void)keep_contents(link);
              link.forget(SessionState::kept_name);
              return 1;
          }).value() == 1);
    CHECK(starts.value() == 1);
}

TEST_CASE("workers that never get live are started ever more slowly, not in a circle") {
    const Counter starts;
    const auto begin = std::chrono::steady_clock::now();
    CHECK(run([&](KeeperLink link) {
              if (starts.next() == 1)
                  (void)keep_contents(link);
              if (starts.value() < 4)
                  ::raise(SIGKILL);
              return 0;
          }).value() == 0);
    CHECK(std::chrono::steady_clock::now() - begin >= std::chrono::milliseconds(50 + 100));
}

TEST_CASE("the keeper answers that it is done") {
    CHECK(run([](KeeperLink link) { return keep_contents(link) && link.sync() ? 0 : 1; }).value() == 0);
}

TEST_CASE("a signal to stop reaches the worker, once it looks for it") {
    CHECK(run([](KeeperLink) {
              sigset_t stop;
              ::sigemptyset(&stop);
              ::sigaddset(&stop, SIGTERM);
              ::kill(::getppid(), SIGTERM);
              ::usleep(50000);
              const timespec patience{.tv_sec = 10, .tv_nsec = 0};
              return ::sigtimedwait(&stop, nullptr, &patience) == SIGTERM ? 0 : 1;
          }).value() == 0);
}

TEST_CASE("a signal to stop that comes during a takeover waits until that is over") {
    const Counter starts;
    const Counter early;
    const Counter late;
    CHECK(run([&](KeeperLink link) {
              sigset_t stop;
              ::sigemptyset(&stop);
              ::sigaddset(&stop, SIGTERM);
              if (starts.next() == 1) {
                  (void)keep_contents(link);
                  link.live();
                  return ::raise(SIGKILL);
              }
              ::kill(::getppid(), SIGTERM);
              const timespec moment{.tv_sec = 0, .tv_nsec = 100'000'000};
              if (::sigtimedwait(&stop, nullptr, &moment) == SIGTERM)
                  early.next();
              link.live();
              const timespec patience{.tv_sec = 10, .tv_nsec = 0};
              if (::sigtimedwait(&stop, nullptr, &patience) == SIGTERM)
                  late.next();
              return 0;
          }).value() == 0);
    CHECK(starts.value() == 2);
    CHECK(early.value() == 0);
    CHECK(late.value() == 1);
}

TEST_CASE("a signal to stop that a worker died with reaches the next, once it serves") {
    const Counter starts;
    CHECK(run([&](KeeperLink link) {
              sigset_t stop;
              ::sigemptyset(&stop);
              ::sigaddset(&stop, SIGTERM);
              const timespec patience{.tv_sec = 10, .tv_nsec = 0};
              if (starts.next() == 1) {
                  (void)keep_contents(link);
                  link.live();
                  ::kill(::getppid(), SIGTERM);
                  (void)::sigtimedwait(&stop, nullptr, &patience);
                  return ::raise(SIGKILL);
              }
              link.live();
              return ::sigtimedwait(&stop, nullptr, &patience) == SIGTERM ? 0 : hopeless_status;
          }).value() == 0);
    CHECK(starts.value() == 2);
}

TEST_CASE("a worker that no other could do better than ends the keeper") {
    const Counter starts;
    CHECK(run([&](KeeperLink link) {
              starts.next();
              (void)keep_contents(link);
              link.live();
              return hopeless_status;
          }).value() == hopeless_status);
    CHECK(starts.value() == 1);
}

TEST_CASE("contents from before this keeper are not given up for one failure") {
    const Counter starts;
    std::vector<InheritedFd> kept;
    kept.push_back({.name = std::string(SessionState::kept_name), .fd = make_memory_file("keeper-test", 4096).value()});
    Keeper keeper(std::move(kept), Log::to_standard_error());
    CHECK(keeper.run([&](KeeperLink) { return starts.next() == 3 ? 0 : 1; }).value() == 0);
    CHECK(starts.value() == 3);
}

TEST_CASE("what the keeper could not take is not taken for kept") {
    const Counter refusals;
    const int keeper = ::fork();
    if (keeper == 0) {
        Keeper full({}, Log::to_standard_error());
        const auto status = full.run([&](KeeperLink link) {
            rlimit few{};
            (void)::prlimit(::getppid(), RLIMIT_NOFILE, nullptr, &few);
            few.rlim_cur = 3;
            (void)::prlimit(::getppid(), RLIMIT_NOFILE, &few, nullptr);
            (void)keep_contents(link);
            if (!link.sync())
                refusals.next();
            if (link.sync()) // it is said once
                refusals.next();
            return 0;
        });
        std::_Exit(status.value_or(1));
    }
    REQUIRE(::waitpid(keeper, nullptr, 0) == keeper);
    CHECK(refusals.value() == 2);
}

TEST_CASE("the keeper waits for a worker that has closed its line and not ended yet") {
    rusage before{};
    rusage after{};
    ::getrusage(RUSAGE_SELF, &before);
    CHECK(run([](KeeperLink link) {
              {
                  const KeeperLink gone = std::move(link);
              }
              ::usleep(500000);
              return 0;
          }).value() == 0);
    ::getrusage(RUSAGE_SELF, &after);
    const auto used = [](const rusage& usage) {
        return ((usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000) +
               ((usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1000);
    };
    CHECK(used(after) - used(before) < 200); // ms
}

TEST_CASE("a worker's end is noticed also if it comes right after a look at it") {
    const pid_t keeper = ::fork();
    REQUIRE(keeper >= 0);
    if (keeper == 0) {
        dawdle_after_look = 100000;
        std::_Exit(run([](KeeperLink link) {
                       {
                           const KeeperLink closed = std::move(link);
                       } // makes the keeper look
                       ::usleep(30000);
                       return 0;
                   }).value_or(1));
    }
    int status = -1;
    for (int tenths = 0; tenths < 200 && ::waitpid(keeper, &status, WNOHANG) == 0; ++tenths)
        ::usleep(100000);
    if (status == -1) {
        ::kill(keeper, SIGKILL);
        ::waitpid(keeper, nullptr, 0);
    }
    CHECK(status == 0);
}

TEST_CASE("a worker that was told to stop before it was live is not started again") {
    const Counter starts;
    CHECK(run([&](KeeperLink link) {
              starts.next();
              (void)keep_contents(link);
              ::kill(::getppid(), SIGTERM);
              ::usleep(50000);
              return 1;
          }).value() == 1);
    CHECK(starts.value() == 1);
}

TEST_CASE("a worker dies with its keeper") {
    const Counter survivals;
    const pid_t keeper = ::fork();
    if (keeper == 0)
        std::_Exit(run([&](KeeperLink) {
                       ::kill(::getppid(), SIGKILL);
                       ::usleep(200000);
                       return survivals.next();
                   }).value_or(1));
    int status = 0;
    REQUIRE(::waitpid(keeper, &status, 0) == keeper);
    REQUIRE(WIFSIGNALED(status));
    ::usleep(500000);
    CHECK(survivals.value() == 0);
}
