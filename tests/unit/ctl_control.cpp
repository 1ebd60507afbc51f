// SPDX-License-Identifier: MIT
// The kernel's attributes, written by hand as they come over the wire.
#include "catch.hpp"

#include "control.hpp"

#include <linux/netlink.h>

#include <cstring>
#include <string_view>

using namespace vramswap;

namespace {

/// Attributes one after the other, each padded to four bytes.
class Wire {
public:
    Wire& raw(std::uint16_t type, const void* data, std::size_t size) {
        const nlattr header{.nla_len = static_cast<std::uint16_t>(NLA_HDRLEN + size), .nla_type = type};
        append(&header, sizeof(header));
        append(data, size);
        bytes_.resize(NLA_ALIGN(bytes_.size()));
        return *this;
    }
    Wire& u32(std::uint16_t type, std::uint32_t value) { return raw(type, &value, sizeof(value)); }
    Wire& u64(std::uint16_t type, std::uint64_t value) { return raw(type, &value, sizeof(value)); }
    Wire& text(std::uint16_t type, std::string_view value) { return raw(type, value.data(), value.size()); }
    Wire& nest(std::uint16_t type, const Wire& inner) {
        return raw(type | NLA_F_NESTED, inner.bytes_.data(), inner.bytes_.size());
    }
    void cut(std::size_t size) { bytes_.resize(size); }
    [[nodiscard]] std::size_t size() const { return bytes_.size(); }
    [[nodiscard]] std::span<const std::byte> bytes() const { return bytes_; }

private:
    void append(const void* data, std::size_t size) {
        const std::size_t at = bytes_.size();
        bytes_.resize(at + size);
        if (size != 0)
            std::memcpy(bytes_.data() + at, data, size);
    }
    std::vector<std::byte> bytes_;
};

Wire device_wire() {
    Wire wire;
    wire.u32(VRAMSWAP_A_INDEX, 3)
        .text(VRAMSWAP_A_NAME, std::string_view("vramswap3\0", 10))
        .u32(VRAMSWAP_A_STATE, VRAMSWAP_STATE_HELD)
        .u64(VRAMSWAP_A_CAPACITY, 1ULL << 42)
        .u64(VRAMSWAP_A_USED, 4096)
        .u32(VRAMSWAP_A_QUEUES, 4)
        .u32(VRAMSWAP_A_SLOTS, 64)
        .u32(VRAMSWAP_A_SLOT_SIZE, 131072)
        .u32(VRAMSWAP_A_HOLD_TIMEOUT_MS, 120000)
        .u32(VRAMSWAP_A_IO_TIMEOUT_MS, 30000)
        .u64(VRAMSWAP_A_COOKIE, 77)
        .text(VRAMSWAP_A_LABEL, std::string_view("host\0", 5))
        .u32(VRAMSWAP_A_HELPER_PID, 42)
        .u32(VRAMSWAP_A_OPENERS, 1);
    return wire;
}

Wire op_wire(std::uint32_t op, std::uint64_t requests) {
    LatencyBuckets latency{};
    latency[12] = requests;
    Wire wire;
    wire.u32(VRAMSWAP_OP_A_OP, op)
        .u64(VRAMSWAP_OP_A_REQUESTS, requests)
        .u64(VRAMSWAP_OP_A_BYTES, requests * 4096)
        .u64(VRAMSWAP_OP_A_ERRORS, 1)
        .u64(VRAMSWAP_OP_A_LATENCY_NS, requests * 5000)
        .raw(VRAMSWAP_OP_A_LATENCY, latency.data(), sizeof(latency));
    return wire;
}

} // namespace

TEST_CASE("a device's attributes become its fields") {
    const DeviceInfo device = decode_device(device_wire().bytes());
    REQUIRE(device.index == 3);
    REQUIRE(device.name == "vramswap3");
    REQUIRE(device.state == VRAMSWAP_STATE_HELD);
    REQUIRE(device.capacity == 1ULL << 42);
    REQUIRE(device.used == 4096);
    REQUIRE(device.queues == 4);
    REQUIRE(device.slots == 64);
    REQUIRE(device.slot_size == 131072);
    REQUIRE(device.hold_timeout_ms == 120000);
    REQUIRE(device.io_timeout_ms == 30000);
    REQUIRE(device.cookie == 77);
    REQUIRE(device.label == "host");
    REQUIRE(device.helper_pid == 42);
    REQUIRE(device.openers == 1);
}

TEST_CASE("a message cut anywhere is read as far as it goes") {
    const std::size_t whole = device_wire().size();
    for (std::size_t size = 0; size <= whole; ++size) {
        Wire wire = device_wire();
        wire.cut(size);
        const DeviceInfo device = decode_device(wire.bytes());
        REQUIRE((device.index == 3 || size < 8));
        REQUIRE((device.openers == 1 || size < whole));
    }
}

TEST_CASE("short, unknown and unterminated attributes do no harm") {
    Wire wire;
    wire.raw(VRAMSWAP_A_CAPACITY, "ab", 2).u32(VRAMSWAP_A_MAX + 5, 9).text(VRAMSWAP_A_NAME, "vramswap9");
    const DeviceInfo device = decode_device(wire.bytes());
    REQUIRE(device.capacity == 0);
    REQUIRE(device.name == "vramswap9");
}

TEST_CASE("an event carries its device") {
    Wire wire = device_wire();
    wire.u32(VRAMSWAP_A_EVENT, VRAMSWAP_EVENT_HELD).u32(VRAMSWAP_A_REASON, 110);
    const Event event = decode_event(wire.bytes());
    REQUIRE(event.kind == VRAMSWAP_EVENT_HELD);
    REQUIRE(event.device.reason == 110);
    REQUIRE(event.device.index == 3);
}

TEST_CASE("a queue's operations are told apart by their number, in any order") {
    Wire queue;
    queue.u32(VRAMSWAP_QUEUE_A_INDEX, 2)
        .u64(VRAMSWAP_QUEUE_A_DOORBELLS, 10)
        .u64(VRAMSWAP_QUEUE_A_ENTERS, 20)
        .u64(VRAMSWAP_QUEUE_A_WAITS, 30)
        .u64(VRAMSWAP_QUEUE_A_REPLAYED, 40)
        .u64(VRAMSWAP_QUEUE_A_SPINS, 50)
        .u32(VRAMSWAP_QUEUE_A_INFLIGHT, 5)
        .nest(VRAMSWAP_QUEUE_A_OP, op_wire(VRAMSWAP_STAT_DISCARD, 9))
        .nest(VRAMSWAP_QUEUE_A_OP, op_wire(VRAMSWAP_STAT_OPS, 1000)) // a newer kernel's
        .nest(VRAMSWAP_QUEUE_A_OP, op_wire(VRAMSWAP_STAT_READ, 7));
    Wire wire;
    wire.u32(VRAMSWAP_A_INDEX, 0).nest(VRAMSWAP_A_QUEUE_STATS, queue);
    const auto stats = decode_queue(wire.bytes());
    REQUIRE(stats);
    REQUIRE(stats->index == 2);
    REQUIRE(stats->doorbells == 10);
    REQUIRE(stats->enters == 20);
    REQUIRE(stats->waits == 30);
    REQUIRE(stats->replayed == 40);
    REQUIRE(stats->spins == 50);
    REQUIRE(stats->inflight == 5);
    REQUIRE(stats->ops[VRAMSWAP_STAT_READ].requests == 7);
    REQUIRE(stats->ops[VRAMSWAP_STAT_READ].bytes == 28672);
    REQUIRE(stats->ops[VRAMSWAP_STAT_READ].errors == 1);
    REQUIRE(stats->ops[VRAMSWAP_STAT_READ].latency_ns == 35000);
    REQUIRE(stats->ops[VRAMSWAP_STAT_READ].latency[12] == 7);
    REQUIRE(stats->ops[VRAMSWAP_STAT_WRITE].requests == 0);
    REQUIRE(stats->ops[VRAMSWAP_STAT_DISCARD].requests == 9);
}

TEST_CASE("an answer without statistics is no statistics") {
    REQUIRE(!decode_queue(device_wire().bytes()));
}
