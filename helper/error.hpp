// SPDX-License-Identifier: MIT
// Errors as values. Nothing in the helper throws on purpose; what the libraries throw is caught where it is called.
#pragma once

#include <expected>
#include <string>
#include <system_error>
#include <utility>

#include <fmt/format.h>

namespace vramswap {

/// What went wrong, for people: a sentence that says what happened and, where it is known, what to do.
struct Error {
    int code = 0; ///< errno, or 0 where there is none
    std::string message;
};

template<class T>
using Result = std::expected<T, Error>;

/// Makes the error branch of any Result. `code` is an errno or 0; the rest is as for fmt::format.
template<class... Args>
[[nodiscard]] std::unexpected<Error> fail(int code, fmt::format_string<Args...> format, Args&&... args) {
    return std::unexpected(Error{code, fmt::format(format, std::forward<Args>(args)...)});
}

/// Hands on the error of another Result.
template<class T>
[[nodiscard]] std::unexpected<Error> pass_on(Result<T>& failed) {
    return std::unexpected(std::move(failed.error()));
}

/// Runs steps until one fails; its error, or success. (GCC 12's std::expected lacks and_then.)
template<class... Steps>
[[nodiscard]] Result<void> in_turn(Steps&&... steps) {
    Result<void> result;
    (void)((result = std::forward<Steps>(steps)(), result.has_value()) && ...);
    return result;
}

/// The system's words for an errno; safe in any thread.
[[nodiscard]] inline std::string errno_text(int code) {
    return std::generic_category().message(code);
}

} // namespace vramswap
