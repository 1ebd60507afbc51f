// SPDX-License-Identifier: MIT
#include "ring_errors.hpp"

#include <array>
#include <cerrno>
#include <string_view>

namespace vramswap {
namespace {

struct Sentence {
    Call call;
    int code;
    std::string_view text; ///< {0} is the device's number
};

/// How a session ends; every later call on its file answers with the same.
constexpr std::array endings{
    Sentence{Call::enter, EBADMSG,
             "the kernel ended the session of vramswap{0} because the ring was broken; this is a bug in vramswapd. The "
             "contents are held for a new helper"},
    Sentence{Call::enter, ETIMEDOUT,
             "the kernel ended the session of vramswap{0} because this helper was silent for longer than the device's "
             "I/O timeout. The contents are held"},
    Sentence{Call::enter, ESTALE,
             "the kernel gave up the contents of vramswap{0}: no helper was back within the hold time. What was stored "
             "there is lost"},
    Sentence{Call::enter, ESHUTDOWN, "the session of vramswap{0} was stopped"},
    Sentence{Call::enter, ENODEV, "the device vramswap{0} was deleted"},
};

constexpr std::array sentences{
    Sentence{
        Call::open, ENOENT,
        "/dev/vramswapc{0} does not exist; load the module (modprobe vramswap), or add the device (vramswapctl add "
        "--index {0})"},
    Sentence{Call::open, EACCES, "/dev/vramswapc{0} may not be opened by this user; run vramswapd as root"},
    Sentence{Call::open, EPERM, "/dev/vramswapc{0} may not be opened by this user; run vramswapd as root"},
    Sentence{Call::open, EBUSY, "vramswap{0} has a helper already; stop that one first"},
    Sentence{Call::open, ENODEV, "the device vramswap{0} is being deleted"},
    Sentence{Call::open, ENXIO, "/dev/vramswapc{0} has no driver behind it; load the module (modprobe vramswap)"},
    Sentence{Call::open, ENOMEM, "the kernel has no memory for a session of vramswap{0}; free some and try again"},

    Sentence{Call::attach, EPROTONOSUPPORT,
             "vramswapd and the loaded module vramswap speak different versions of their protocol; install both from "
             "the same release and reload the module"},
    Sentence{Call::attach, EINVAL,
             "the module did not understand the request to attach to vramswap{0}; this is a bug in vramswapd"},
    Sentence{Call::attach, ERANGE,
             "vramswap{0} does not take this capacity: it is too small or too large, or not that of the contents held"},
    Sentence{Call::attach, EALREADY, "this session of vramswap{0} is attached already; this is a bug in vramswapd"},
    Sentence{
        Call::attach, EBUSY,
        "vramswap{0} lost its contents and is still in use (close its users: swapoff, umount), or the process of an "
        "earlier helper that fell silent has not ended (end it); then start again"},
    Sentence{Call::attach, EEXIST,
             "vramswap{0} holds contents that belong to a helper that is gone, and nothing here vouches for them; "
             "restore that helper with what it kept, or give the contents up with 'vramswapctl set {0} --hold-timeout "
             "0' (what was swapped out is then lost)"},
    Sentence{Call::attach, ESTALE,
             "vramswap{0} no longer holds the contents that this helper has: they were stopped, deleted, or given up"},
    Sentence{Call::attach, ENOMEM,
             "the kernel has no memory for the rings and staging of vramswap{0}; free some and try again, or add the "
             "device with fewer queues or slots"},
    Sentence{Call::attach, ENODEV, "the device vramswap{0} is being deleted"},
    Sentence{Call::attach, EPERM, "this user may not serve vramswap{0}; run vramswapd as root"},

    Sentence{Call::map, EACCES,
             "the kernel refused the protection of a mapping of vramswap{0}; this is a bug in vramswapd"},
    Sentence{Call::map, EINVAL, "the kernel refused the place of a mapping of vramswap{0}; this is a bug in vramswapd"},
    Sentence{Call::map, ENOTCONN, "vramswap{0} is not attached; this is a bug in vramswapd"},
    Sentence{Call::map, ENOMEM, "there is no memory to map the rings and staging of vramswap{0}"},
    Sentence{Call::map, EAGAIN,
             "the staging of vramswap{0} may not be locked: RLIMIT_MEMLOCK is too low (ulimit -l unlimited, or "
             "LimitMEMLOCK=infinity)"},

    Sentence{Call::start, ENOTCONN, "vramswap{0} is not attached; this is a bug in vramswapd"},
    Sentence{Call::start, EALREADY, "vramswap{0} is started already; this is a bug in vramswapd"},
    Sentence{
        Call::start, EDEADLK,
        "the kernel does not let vramswap{0} go live: this helper could wait for itself when memory is low. It must "
        "be an I/O flusher (CAP_SYS_RESOURCE) with all its memory locked (CAP_IPC_LOCK); run vramswapd as root"},

    Sentence{Call::enter, ENOTCONN, "vramswap{0} was not started; this is a bug in vramswapd"},
    Sentence{Call::enter, EINVAL, "the module did not understand ENTER on vramswap{0}; this is a bug in vramswapd"},
    Sentence{
        Call::enter, EDEADLK,
        "a thread that serves vramswap{0} is no I/O flusher and could wait for itself; this is a bug in vramswapd"},
    Sentence{Call::enter, EBUSY, "two threads wait on one queue of vramswap{0}; this is a bug in vramswapd"},
    Sentence{Call::enter, EINTR, "a signal interrupted the wait for work of vramswap{0}"},

    Sentence{Call::stop, ENOTCONN, "vramswap{0} is not attached; this is a bug in vramswapd"},
    Sentence{Call::stop, EBUSY, "vramswap{0} is in use; swapoff or unmount it first"},
};

constexpr std::array<std::string_view, 6> verbs{"open", "attach to", "map", "start", "serve", "stop"};

} // namespace

Error ring_error(Call call, int code, unsigned device) {
    for (const Sentence& sentence : sentences)
        if (sentence.call == call && sentence.code == code)
            return {code, fmt::format(fmt::runtime(sentence.text), device)};
    for (const Sentence& ending : endings)
        if (ending.code == code)
            return {code, fmt::format(fmt::runtime(ending.text), device)};
    return {code, fmt::format("could not {} vramswap{}: {}", verbs.at(static_cast<std::size_t>(call)), device,
                              errno_text(code))};
}

} // namespace vramswap
