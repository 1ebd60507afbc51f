// SPDX-License-Identifier: MIT
#include "step.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <optional>
#include <type_traits>

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fmt/format.h>

#include <helper/error.hpp>
#include <helper/fd.hpp>

#include "children.hpp"

namespace vramswap::bench {
namespace {

using Clock = std::chrono::steady_clock;

// ---- a report as bytes, for a process that is a copy of this one ----

/// Appends what it is called with.
class Writer {
public:
    template<class T>
    void operator()(T& value) {
        static_assert(std::is_trivially_copyable_v<T>);
        bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
    }
    std::size_t size(std::size_t size) {
        (*this)(size);
        return size;
    }
    void operator()(std::string& text) {
        size(text.size());
        bytes += text;
    }

    std::string bytes;
};

/// Takes it back in the same order. Once there is too little, it gives nothing more.
class Reader {
public:
    explicit Reader(std::string_view bytes) : rest_(bytes) {}

    template<class T>
    void operator()(T& value) {
        static_assert(std::is_trivially_copyable_v<T>);
        if (const auto bytes = take(sizeof value); bytes.size() == sizeof value)
            std::memcpy(&value, bytes.data(), sizeof value);
    }
    std::size_t size(std::size_t /*size*/) {
        std::size_t size = 0;
        (*this)(size);
        return std::min(size, rest_.size());
    }
    void operator()(std::string& text) { text = take(size(0)); }

private:
    std::string_view take(std::size_t size) {
        const bool enough = size <= rest_.size();
        const std::string_view taken = rest_.substr(0, enough ? size : 0);
        rest_.remove_prefix(enough ? size : rest_.size());
        return taken;
    }

    std::string_view rest_;
};

template<class Archive>
void pass(Archive& archive, std::string& text) {
    archive(text);
}

template<class Archive>
void pass(Archive& archive, std::pair<std::string, std::string>& pair) {
    archive(pair.first);
    archive(pair.second);
}

template<class Archive>
void pass(Archive& archive, Finding& finding) {
    archive(finding.name);
    archive(finding.verdict);
    archive(finding.text);
    archive(finding.ready_ms);
}

template<class Archive>
void pass(Archive& archive, Raw& raw) {
    archive(raw.what);
    archive(raw.bytes_per_second);
    archive(raw.per_second);
    archive(raw.p50_ns);
    archive(raw.p99_ns);
    archive(raw.link);
}

template<class Archive>
void pass(Archive& archive, Crossover& one) {
    archive(one.path);
    archive(one.reads);
    archive(one.writes);
}

template<class Archive>
void pass(Archive& archive, Row& row) {
    archive(row.engine);
    archive(row.what);
    archive(row.mix);
    archive(row.queues);
    archive(row.depth);
    archive(row.length);
    archive(row.look);
    archive(row.outcome);
}

template<class Archive>
void pass(Archive& archive, Beside& one) {
    archive(one.engine);
    archive(one.neighbour);
    archive(one.what);
    archive(one.mix);
    archive(one.length);
    archive(one.depth);
    for (double* const figure :
         {&one.turns_alone, &one.turns_idle, &one.turns_loaded, &one.ours_alone, &one.ours_beside})
        archive(*figure);
    archive(one.p99_alone_ns);
    archive(one.p99_beside_ns);
    archive(one.right);
}

template<class Archive, class T>
void pass(Archive& archive, std::vector<T>& all) {
    all.resize(archive.size(all.size()));
    for (T& one : all)
        pass(archive, one);
}

template<class Archive>
void pass(Archive& archive, Report& report) {
    archive(report.fake);
    archive(report.idle);
    archive(report.choice);
    pass(archive, report.hardware);
    pass(archive, report.findings);
    pass(archive, report.raw);
    pass(archive, report.crossover);
    pass(archive, report.rows);
    pass(archive, report.beside);
    pass(archive, report.troubles);
}

template<class T>
void append(std::vector<T>& to, std::vector<T>& from) {
    to.insert(to.end(), from.begin(), from.end());
}

void add(Report& to, Report& part) {
    to.fake = to.fake || part.fake;
    if (part.idle)
        to.idle = part.idle;
    if (!part.choice.empty())
        to.choice = part.choice;
    append(to.hardware, part.hardware);
    append(to.findings, part.findings);
    append(to.raw, part.raw);
    append(to.crossover, part.crossover);
    append(to.rows, part.rows);
    append(to.beside, part.beside);
    append(to.troubles, part.troubles);
}

// ---- the process ----

bool write_all(int fd, std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t written = ::write(fd, bytes.data(), bytes.size());
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return false;
        bytes.remove_prefix(static_cast<std::size_t>(written));
    }
    return true;
}

[[noreturn]] void take_step(int to, const std::function<void(Report&)>& step) {
    (void)::prctl(PR_SET_PDEATHSIG, SIGKILL);
    Report part;
    try {
        step(part);
    } catch (const std::exception& error) {
        part.troubles.emplace_back(error.what());
    }
    Writer writer;
    pass(writer, part);
    // Not by way of the driver's own farewell, which may hang as the GPU does.
    std::_Exit(write_all(to, writer.bytes) ? EXIT_SUCCESS : EXIT_FAILURE);
}

/// What is there to be read now.
void drain(int fd, std::string& bytes) {
    std::array<char, 65536> buffer{};
    for (ssize_t got = 0; (got = ::read(fd, buffer.data(), buffer.size())) > 0;)
        bytes.append(buffer.data(), static_cast<std::size_t>(got));
}

/// Until the child has ended, and all that it said was read; its status, or nothing if it had to be killed. (Others
/// that it has started may still have the pipe open.)
std::optional<int> wait_for_child(pid_t child, int from, Clock::time_point until, std::string& bytes) {
    int status = 0;
    while (::waitpid(child, &status, WNOHANG) == 0) {
        pollfd poll{.fd = from, .events = POLLIN, .revents = 0};
        (void)::poll(&poll, 1, 20);
        drain(from, bytes);
        if (Clock::now() < until)
            continue;
        end(child);
        return std::nullopt;
    }
    drain(from, bytes);
    return status;
}

std::string ending(std::optional<int> status, std::chrono::milliseconds limit) {
    if (!status)
        return fmt::format("nothing came of it in {} s",
                           std::chrono::duration_cast<std::chrono::seconds>(limit).count());
    if (WIFSIGNALED(*status))
        return fmt::format("its process was killed by signal {}", WTERMSIG(*status));
    return fmt::format("its process ended with status {}", WEXITSTATUS(*status));
}

} // namespace

void in_own_process(const std::string& what, std::chrono::milliseconds limit, const std::function<void(Report&)>& step,
                    Report& report) {
    std::array<int, 2> pipe{};
    if (::pipe2(pipe.data(), O_CLOEXEC) != 0)
        return report.troubles.push_back(fmt::format("{}: no pipe: {}", what, errno_text(errno)));
    const Fd from(pipe[0]);
    Fd to(pipe[1]);
    (void)::fcntl(from.get(), F_SETFL, O_NONBLOCK);
    (void)std::fflush(nullptr);
    const pid_t child = ::fork();
    if (child < 0)
        return report.troubles.push_back(fmt::format("{}: no process: {}", what, errno_text(errno)));
    if (child == 0)
        take_step(to.get(), step);
    to = Fd();
    std::string bytes;
    const auto status = wait_for_child(child, from.get(), Clock::now() + limit, bytes);
    if (!status || !WIFEXITED(*status) || WEXITSTATUS(*status) != 0)
        return report.troubles.push_back(fmt::format("{}: {}", what, ending(status, limit)));
    Report part;
    Reader reader(bytes);
    pass(reader, part);
    add(report, part);
}

} // namespace vramswap::bench
