// SPDX-License-Identifier: MIT
// vramswapctl metrics: to standard output, or to a file that node_exporter's textfile collector reads.
#include "commands.hpp"
#include "fd.hpp"
#include "metrics.hpp"
#include "terminal.hpp"

#include <cerrno>
#include <cstdio>

#include <fcntl.h>
#include <unistd.h>

namespace vramswap::ctl {
namespace {

/// A reader finds the old text or the new one, never a part: written beside it, and moved there. No fsync: after a
/// crash the next run writes it anew.
Result<void> replace_file(const std::string& path, std::string_view text) {
    const std::string beside = fmt::format("{}.{}.new", path, ::getpid());
    const Fd fd(::open(beside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644));
    if (!fd)
        return fail(errno, "{} cannot be made: {}", beside, errno_text(errno));
    const bool written = ::write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
    if (written && ::rename(beside.c_str(), path.c_str()) == 0)
        return {};
    const int code = errno;
    ::unlink(beside.c_str());
    return fail(code, "{} cannot be written: {}", path, errno_text(code));
}

} // namespace

Result<void> run_metrics(const MetricsCommand& command) {
    std::string text = "# HELP vramswap_module_loaded Whether the module vramswap is loaded.\n"
                       "# TYPE vramswap_module_loaded gauge\nvramswap_module_loaded 0\n";
    auto control = Control::open();
    if (!control && control.error().code != ENOENT)
        return pass_on(control);
    if (control) {
        const auto samples = look(*control, std::nullopt);
        if (!samples)
            return std::unexpected(samples.error());
        text = metrics_text(*samples);
    }
    return command.output.empty() ? print(text) : replace_file(command.output, text);
}

} // namespace vramswap::ctl
