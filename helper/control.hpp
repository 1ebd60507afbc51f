// SPDX-License-Identifier: MIT
// The generic netlink family "vramswap" as plain structs and calls. control.cpp is the only user of libnl.
//
// Every call blocks until the kernel has answered and may allocate: none of it belongs on the I/O path.
#pragma once

#include "error.hpp"

#include <uapi/vramswap_genl.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

struct nl_sock;

namespace vramswap {

/// One device, as GET answers. Sizes in bytes; see uapi/vramswap_genl.h for each field's meaning.
struct DeviceInfo {
    std::uint32_t index = 0;
    std::string name;
    std::uint32_t state = VRAMSWAP_STATE_EMPTY; ///< enum vramswap_state, or a number that a newer kernel knows
    std::uint64_t capacity = 0;
    std::uint64_t used = 0;
    std::uint32_t queues = 0;
    std::uint32_t slots = 0;
    std::uint32_t slot_size = 0;
    std::uint32_t hold_timeout_ms = 0;
    std::uint32_t io_timeout_ms = 0;
    std::uint64_t cookie = 0;
    std::string label;
    std::uint32_t helper_pid = 0;
    std::uint32_t openers = 0;
    int reason = 0; ///< errno that ended the last session, 0 if none did
};

using LatencyBuckets = std::array<std::uint64_t, VRAMSWAP_LATENCY_BUCKETS>;

/// What one operation has cost since the device was made. Bucket i of `latency` counts 2^i to 2^(i+1) - 1 ns.
struct OpStats {
    std::uint64_t requests = 0;
    std::uint64_t bytes = 0;
    std::uint64_t errors = 0;
    std::uint64_t latency_ns = 0;
    LatencyBuckets latency{};
};

/// One queue's counters; `ops` is indexed by enum vramswap_stat_op.
struct QueueStats {
    std::uint32_t index = 0;
    std::uint64_t doorbells = 0;
    std::uint64_t enters = 0;
    std::uint64_t waits = 0;
    std::uint64_t replayed = 0;
    std::uint64_t spins = 0;
    std::uint32_t inflight = 0;
    std::array<OpStats, VRAMSWAP_STAT_OPS> ops;
};

/// Something happened to a device; `device` is how it stands now.
struct Event {
    std::uint32_t kind = 0; ///< enum vramswap_event, or a number that a newer kernel knows
    DeviceInfo device;
};

/// What is not set is the kernel's choice.
struct AddOptions {
    std::optional<std::uint32_t> index;
    std::optional<std::uint32_t> queues;
    std::optional<std::uint32_t> slots;
    std::optional<std::uint32_t> slot_size; ///< bytes
};

/// What is not set stays as it is.
struct SetOptions {
    std::optional<std::uint32_t> hold_timeout_ms;
    std::optional<std::uint32_t> io_timeout_ms;
};

/// What the kernel's attributes say. Absent or short attributes read as zero or nothing, unknown ones are passed over:
/// the module may be older or newer than this program. `attributes` must be aligned as struct nlattr is (4 bytes).
DeviceInfo decode_device(std::span<const std::byte> attributes);
Event decode_event(std::span<const std::byte> attributes);
std::optional<QueueStats> decode_queue(std::span<const std::byte> attributes);

struct SocketDeleter {
    void operator()(nl_sock* socket) const;
};
using Socket = std::unique_ptr<nl_sock, SocketDeleter>;

/// Follows the multicast group "events" from the moment it is made.
class EventStream {
public:
    static Result<EventStream> open();

    /// Waits for the next event. ENOBUFS: the reader was too slow and some were lost, go on; ENODEV: the module was
    /// unloaded, there will be no more.
    Result<Event> next();

private:
    EventStream(Socket socket, int family) : socket_(std::move(socket)), family_(family) {}
    Result<void> receive();

    Socket socket_;
    int family_;
    std::deque<Event> pending_;
};

/// One netlink socket. Errors carry the kernel's errno and its own sentence where it gave one.
class Control {
public:
    /// ENOENT: the module is not loaded.
    static Result<Control> open();

    Result<std::vector<DeviceInfo>> devices();
    Result<DeviceInfo> device(std::uint32_t index);
    Result<DeviceInfo> add(const AddOptions& options);
    Result<void> del(std::uint32_t index);
    Result<void> set(std::uint32_t index, const SetOptions& options);

    /// All queues of a device, in order.
    Result<std::vector<QueueStats>> stats(std::uint32_t index);

private:
    using Replies = std::vector<std::vector<std::byte>>;
    using Numbers = std::initializer_list<std::pair<int, std::optional<std::uint32_t>>>;

    Control(Socket socket, int family) : socket_(std::move(socket)), family_(family) {}
    Result<Replies> exchange(int command, int flags, Numbers numbers);
    Result<DeviceInfo> exchange_for_device(int command, Numbers numbers);
    Result<void> exchange_for_nothing(int command, Numbers numbers);

    Socket socket_;
    int family_;
};

} // namespace vramswap
