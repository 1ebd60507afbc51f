// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cerrno>
#include <system_error>

#include <unistd.h>

namespace torture {

// Where processes wait for each other, once. Made before they are forked: each has the writing end of a pipe then,
// and that end is closed for good when all have arrived, or died.
class Meeting {
public:
    Meeting() {
        if (pipe(ends_.data()) != 0)
            throw std::system_error(errno, std::generic_category(), "pipe");
    }

    // For the process that does not take part itself, after the last fork.
    void leave() const { close(ends_[1]); }

    // Leaves, and returns when all others have left too.
    void wait() const {
        leave();
        char nothing = 0;
        while (read(ends_[0], &nothing, 1) < 0 && errno == EINTR) {
        }
    }

private:
    std::array<int, 2> ends_{};
};

} // namespace torture
