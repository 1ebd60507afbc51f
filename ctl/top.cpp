// SPDX-License-Identifier: MIT
// vramswapctl top: the screen, drawn again and again until q or ^C.
#include "commands.hpp"
#include "screen.hpp"
#include "terminal.hpp"

#include <array>
#include <cerrno>
#include <csignal>

#include <poll.h>
#include <termios.h>
#include <unistd.h>

namespace vramswap::ctl {
namespace {

/// The terminal while the screen is drawn: an alternate screen, no cursor, keys at once and unseen, ^C as a key. All is
/// as it was at the end; a signal that ends the program is waited for as a key is.
class RawTerminal {
public:
    RawTerminal() {
        if (::tcgetattr(STDIN_FILENO, &before_) == 0) {
            termios raw = before_;
            raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO | ISIG);
            keys_ = ::tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
        }
        static_cast<void>(print("\033[?1049h\033[?25l"));
    }
    RawTerminal(const RawTerminal&) = delete;
    RawTerminal& operator=(const RawTerminal&) = delete;
    RawTerminal(RawTerminal&&) = delete;
    RawTerminal& operator=(RawTerminal&&) = delete;
    ~RawTerminal() {
        static_cast<void>(print("\033[?25h\033[?1049l"));
        if (keys_)
            ::tcsetattr(STDIN_FILENO, TCSANOW, &before_);
    }

    /// Waits for `time`, or until a key says that it is enough. A change of the window's size ends the wait early.
    [[nodiscard]] bool ended(std::chrono::milliseconds time) const {
        pollfd input{.fd = keys_ ? STDIN_FILENO : -1, .events = POLLIN, .revents = 0};
        const int ready = ::poll(&input, 1, static_cast<int>(time.count()));
        if (interrupted != 0)
            return true;
        if (ready <= 0)
            return false;
        char key = 'q'; // an input that has ended, too
        if (::read(STDIN_FILENO, &key, 1) < 0)
            return true;
        return key == 'q' || key == 'Q' || key == '\003';
    }

    static inline volatile std::sig_atomic_t interrupted = 0;

private:
    termios before_{};
    bool keys_ = false;
};

void watch_signals() {
    struct sigaction action{};
    action.sa_handler = [](int) { RawTerminal::interrupted = 1; };
    for (const int signal : {SIGINT, SIGTERM, SIGHUP})
        ::sigaction(signal, &action, nullptr);
    action.sa_handler = [](int) {};
    ::sigaction(SIGWINCH, &action, nullptr);
}

/// From the top, over what is there: each line to its end, and all below. Nothing flickers.
std::string drawn(const std::string& text) {
    std::string screen = "\033[H";
    for (const char c : text)
        screen += c == '\n' ? std::string("\033[K\r\n") : std::string(1, c);
    return screen + "\033[J";
}

Result<View> take_view(Control& control, const TopCommand& command, Samples before) {
    auto now = look(control, command.device);
    if (!now)
        return pass_on(now);
    return View{.clock = clock_now(),
                .now = std::move(*now),
                .before = std::move(before),
                .memory = parse_meminfo(read_text("/proc/meminfo")),
                .swaps = read_swaps(),
                .pressure = read_text("/proc/pressure/memory")};
}

} // namespace

Result<void> run_top(const TopCommand& command) {
    if (!on_terminal())
        return fail(ENOTTY, "top wants a terminal: vramswapctl stats --interval 1 writes lines anywhere");
    auto control = Control::open();
    if (!control)
        return pass_on(control);
    watch_signals();
    const RawTerminal terminal;
    Samples before;
    for (;;) {
        auto view = take_view(*control, command, std::move(before));
        if (!view)
            return pass_on(view);
        if (auto printed = print(drawn(screen_text(*view, terminal_width()))); !printed)
            return printed;
        if (terminal.ended(command.interval))
            return {};
        before = std::move(view->now);
    }
}

} // namespace vramswap::ctl
