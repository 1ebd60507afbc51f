// SPDX-License-Identifier: MIT
#pragma once

#include <string_view>
#include <utility>

#include <fmt/format.h>

namespace vramswap {

/// Plain lines to standard error; under the journal each with its syslog priority ("<4>...") in front.
///
/// Only the main thread logs, and a line is dropped sooner than waited for: the process that reads our lines may
/// itself be waiting for a page that only we can bring back.
class Log {
public:
    /// Looks at JOURNAL_STREAM once to learn whether the journal reads standard error.
    [[nodiscard]] static Log to_standard_error();

    template<class... Args>
    void error(fmt::format_string<Args...> format, Args&&... args) const {
        line(3, fmt::format(format, std::forward<Args>(args)...));
    }
    template<class... Args>
    void warning(fmt::format_string<Args...> format, Args&&... args) const {
        line(4, fmt::format(format, std::forward<Args>(args)...));
    }
    template<class... Args>
    void notice(fmt::format_string<Args...> format, Args&&... args) const {
        line(5, fmt::format(format, std::forward<Args>(args)...));
    }
    template<class... Args>
    void info(fmt::format_string<Args...> format, Args&&... args) const {
        line(6, fmt::format(format, std::forward<Args>(args)...));
    }

private:
    explicit Log(bool prefixed) noexcept : prefixed_(prefixed) {}
    void line(int priority, std::string_view text) const;

    bool prefixed_;
};

} // namespace vramswap
