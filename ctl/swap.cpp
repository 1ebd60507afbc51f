// SPDX-License-Identifier: MIT
// vramswapctl swap-on, swap-off: a device as swap. What a service calls after its start and before its stop, so both
// are content with what is so already.
#include "commands.hpp"
#include "fd.hpp"
#include "format.hpp"
#include "parse.hpp"
#include "program.hpp"
#include "room.hpp"
#include "settings.hpp"
#include "terminal.hpp"
#include "words.hpp"

#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <string_view>
#include <thread>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/swap.h>
#include <unistd.h>

namespace vramswap::ctl {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds interval{100}; // of looking whether it is time

std::string node_of(std::uint32_t index) {
    return fmt::format("/dev/vramswap{}", index);
}

/// Waits until a helper serves the device.
Result<DeviceInfo> wait_live(Control& control, const SwapOnCommand& command, Clock::time_point until) {
    for (;;) {
        auto device = control.device(command.device);
        if (device && device->state == VRAMSWAP_STATE_LIVE)
            return device;
        if (!device && device.error().code != ENODEV)
            return device;
        if (Clock::now() >= until)
            return device ? fail(ETIMEDOUT, "vramswap{} is {}, not live: start its helper (vramswapctl start {})",
                                 command.device, state_word(device->state), command.device)
                          : pass_on(device);
        std::this_thread::sleep_for(interval);
    }
}

/// Held by whoever prepares the device; udev does not look into a device that is locked so (systemd's "Locking Block
/// Device Access").
Result<Fd> lock_node(std::uint32_t index, Clock::time_point until) {
    const std::string node = node_of(index);
    Fd fd(::open(node.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd)
        return fail(errno, "{} cannot be opened: {}", node, errno_text(errno));
    while (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return fail(errno, "{} cannot be locked: {}", node, errno_text(errno));
        if (Clock::now() >= until)
            return fail(ETIMEDOUT, "another program has locked {} (lslocks shows which): end it, or wait for it", node);
        std::this_thread::sleep_for(interval);
    }
    return fd;
}

/// Has it been through mkswap? The signature is at the end of the first page.
Result<bool> has_signature(const std::string& node) {
    constexpr std::string_view signature = "SWAPSPACE2";
    const Fd fd(::open(node.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd)
        return fail(errno, "{} cannot be opened: {}", node, errno_text(errno));
    std::array<char, signature.size()> found{};
    const auto place = ::sysconf(_SC_PAGESIZE) - static_cast<long>(signature.size());
    if (::pread(fd.get(), found.data(), found.size(), place) != static_cast<ssize_t>(found.size()))
        return fail(EIO, "{} cannot be read: {}", node, errno_text(errno));
    return std::string_view(found.data(), found.size()) == signature;
}

Result<void> prepare(const DeviceInfo& device) {
    const std::string node = node_of(device.index);
    if (device.used == 0) // a signature there would be what an earlier device left in the same memory
        return run_program({"mkswap", "--lock=no", "--label", fmt::format("vramswap{}", device.index), node});
    const auto prepared = has_signature(node);
    if (!prepared)
        return std::unexpected(prepared.error());
    if (!*prepared)
        return fail(EEXIST, "{} holds something that is no swap space; if nobody wants it: mkswap {}", node, node);
    return {};
}

Result<unsigned> priority_of(const SwapOnCommand& command) {
    if (command.priority)
        return *command.priority;
    auto config = settings_read(command.device, {});
    if (!config)
        return pass_on(config);
    return config->swap_priority;
}

Result<void> swap_on(std::uint32_t index, unsigned priority) {
    const unsigned flags = SWAP_FLAG_DISCARD | SWAP_FLAG_PREFER | (priority & SWAP_FLAG_PRIO_MASK);
    if (::swapon(node_of(index).c_str(), static_cast<int>(flags)) == 0)
        return {};
    if (errno == EPERM)
        return fail(EPERM, "only root may swap a device on");
    return fail(errno, "{} cannot be swapped on: {}", node_of(index), errno_text(errno));
}

/// ENOSPC, with the figures, if what the device holds as swap does not fit elsewhere.
Result<void> check_room(std::uint32_t index) {
    const auto memory = read_memory();
    if (!memory)
        return std::unexpected(memory.error());
    const Room room = room_elsewhere(read_swaps(), *memory, index);
    return room.fits() ? Result<void>() : fail(ENOSPC, "{}", room_sentence(room, index));
}

} // namespace

Result<void> run_swap_on(const SwapOnCommand& command) {
    if (find_swap(read_swaps(), command.device))
        return {};
    const auto priority = priority_of(command);
    if (!priority)
        return std::unexpected(priority.error());
    auto control = Control::open();
    if (!control)
        return pass_on(control);
    const auto until = Clock::now() + command.wait;
    if (auto live = wait_live(*control, command, until); !live)
        return pass_on(live);
    const auto lock = lock_node(command.device, until);
    if (!lock)
        return std::unexpected(lock.error());
    if (find_swap(read_swaps(), command.device)) // another was quicker
        return {};
    const auto device = wait_live(*control, command, until); // as it is now that nobody else prepares it
    if (!device)
        return std::unexpected(device.error());
    return in_turn([&] { return prepare(*device); }, [&] { return swap_on(command.device, *priority); });
}

Result<void> run_swap_off(const SwapOffCommand& command) {
    const auto area = find_swap(read_swaps(), command.device);
    if (!area)
        return {};
    if (auto room = check_room(command.device); !room)
        return room;
    if (::swapoff(node_of(command.device).c_str()) == 0)
        return {};
    if (errno == EPERM)
        return fail(EPERM, "only root may swap a device off");
    if (errno == ENOMEM)
        return fail(ENOSPC, "the kernel does not swap {} off: it finds no room for its {} elsewhere",
                    node_of(command.device), format_size(area->used));
    return fail(errno, "{} cannot be swapped off: {}", node_of(command.device), errno_text(errno));
}

} // namespace vramswap::ctl
