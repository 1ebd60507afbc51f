// SPDX-License-Identifier: MIT
// What could be waited for is written by a process of its own, and whole.
#include "catch.hpp"

#include <array>
#include <cstdio>
#include <memory>
#include <string>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <helper/log.hpp>
#include <helper/log_writer.hpp>

using namespace vramswap;

namespace {

/// Standard error, given another place for a while.
class Redirected {
public:
    explicit Redirected(int to) : before_(::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0)) { ::dup2(to, STDERR_FILENO); }
    Redirected(const Redirected&) = delete;
    Redirected& operator=(const Redirected&) = delete;
    Redirected(Redirected&&) = delete;
    Redirected& operator=(Redirected&&) = delete;
    ~Redirected() { ::dup2(before_.get(), STDERR_FILENO); }

private:
    Fd before_;
};

mode_t standard_error_mode() {
    struct stat status{};
    return ::fstat(STDERR_FILENO, &status) == 0 ? status.st_mode : 0;
}

} // namespace

TEST_CASE("a log that is a file is not written by those who must not wait") {
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::tmpfile(), std::fclose);
    REQUIRE(file != nullptr);
    mode_t meanwhile = 0;
    {
        const Redirected redirected(::fileno(file.get()));
        {
            const auto writer = LogWriter::start();
            meanwhile = standard_error_mode();
            for (int i = 0; i < 100; ++i)
                Log::to_standard_error().info("line {}", i);
        }
        Log::to_standard_error().info("the last");
    }
    CHECK(S_ISFIFO(meanwhile));
    std::string found(4096, '\0');
    const ssize_t size = ::pread(::fileno(file.get()), found.data(), found.size(), 0);
    REQUIRE(size > 0);
    found.resize(static_cast<std::size_t>(size));
    CHECK(found.starts_with("line 0\nline 1\n"));
    CHECK(found.ends_with("line 99\nthe last\n"));
}

TEST_CASE("a log whose reader does not read holds nobody up") {
    std::array<int, 2> ends{};
    REQUIRE(::pipe(ends.data()) == 0);
    const Fd reading(ends[0]);
    const Fd writing(ends[1]);
    {
        const Redirected redirected(writing.get());
        const auto writer = LogWriter::start();
        // More than both pipes hold.
        for (int i = 0; i < 5000; ++i)
            Log::to_standard_error().info("{:100}", i);
        ::fcntl(reading.get(), F_SETFL, O_NONBLOCK);
        std::string lines(1 << 20, '\0');
        while (::read(reading.get(), lines.data(), lines.size()) > 0) {
        }
    }
    SUCCEED("it came to an end");
}

TEST_CASE("a log that is a socket is left alone") {
    std::array<int, 2> ends{};
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends.data()) == 0);
    const Fd reading(ends[0]);
    const Fd writing(ends[1]);
    struct stat before{};
    struct stat meanwhile{};
    {
        const Redirected redirected(writing.get());
        ::fstat(STDERR_FILENO, &before);
        const auto writer = LogWriter::start();
        ::fstat(STDERR_FILENO, &meanwhile);
    }
    CHECK(before.st_ino == meanwhile.st_ino);
}
