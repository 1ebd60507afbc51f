// SPDX-License-Identifier: MIT
#include "terminal.hpp"

#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <fstream>
#include <iterator>

#include <sys/ioctl.h>
#include <unistd.h>

namespace vramswap::ctl {
namespace {

struct Now {
    std::tm local{};
    int milliseconds = 0;
};

Now now() {
    const auto since_epoch = std::chrono::system_clock::now().time_since_epoch();
    const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(since_epoch).count();
    const auto seconds = static_cast<std::time_t>(ms / 1000);
    Now now{.milliseconds = static_cast<int>(ms % 1000)};
    static_cast<void>(localtime_r(&seconds, &now.local));
    return now;
}

std::string format_time(const std::tm& time, const char* format) {
    std::array<char, 64> text{};
    return {text.data(), std::strftime(text.data(), text.size(), format, &time)};
}

} // namespace

Result<void> print(std::string_view text) {
    if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0)
        return fail(errno, "cannot write to standard output: {}", errno_text(errno));
    return {};
}

bool on_terminal() {
    return isatty(STDOUT_FILENO) != 0;
}

std::size_t terminal_width() {
    winsize size{};
    if (!on_terminal() || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0)
        return 0;
    return size.ws_col;
}

std::string clock_now() {
    return format_time(now().local, "%H:%M:%S");
}

std::string date_now() {
    const Now time = now();
    return fmt::format("{}.{:03}", format_time(time.local, "%F %T"), time.milliseconds);
}

std::string timestamp_now() {
    const Now time = now();
    return fmt::format("{}.{:03}{}", format_time(time.local, "%FT%T"), time.milliseconds,
                       format_time(time.local, "%z"));
}

std::string read_text(const std::string& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
}

std::vector<SwapArea> read_swaps() {
    return parse_swaps(read_text("/proc/swaps"));
}

Result<MemoryInfo> read_memory() {
    const MemoryInfo memory = parse_meminfo(read_text("/proc/meminfo"));
    if (memory.total == 0)
        return fail(ENODATA, "/proc/meminfo does not tell how much memory there is");
    return memory;
}

void note_no_device() {
    static_cast<void>(std::fputs("no vramswap device: vramswapctl add makes one\n", stderr));
}

Result<std::vector<DeviceInfo>> choose_devices(Control& control, std::optional<std::uint32_t> device) {
    if (!device)
        return control.devices();
    auto one = control.device(*device);
    if (!one)
        return pass_on(one);
    return std::vector{std::move(*one)};
}

} // namespace vramswap::ctl
