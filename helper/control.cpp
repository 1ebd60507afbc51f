// SPDX-License-Identifier: MIT
#include "control.hpp"

#include <linux/genetlink.h>
#include <netlink/attr.h>
#include <netlink/errno.h>
#include <netlink/genl/ctrl.h>
#include <netlink/genl/genl.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <utility>

namespace vramswap {
namespace {

using Bytes = std::span<const std::byte>;

// --- reading attributes ---

// libnl's own nla_parse takes writable attributes and fails on surprises; this one does neither.
template<typename Visitor>
void for_each_attribute(Bytes bytes, Visitor visit) {
    const auto* attribute = reinterpret_cast<const nlattr*>(bytes.data());
    int rest = static_cast<int>(bytes.size());
    while (attribute != nullptr && nla_ok(attribute, rest) != 0) {
        visit(*attribute);
        attribute = nla_next(attribute, &rest);
    }
}

Bytes payload(const nlattr& attribute) {
    return {static_cast<const std::byte*>(nla_data(&attribute)), static_cast<std::size_t>(nla_len(&attribute))};
}

// Zero for an attribute that is absent or too short.
template<typename Number>
Number number(const nlattr* attribute) {
    Number value = 0;
    if (attribute != nullptr && payload(*attribute).size() >= sizeof(value))
        std::memcpy(&value, nla_data(attribute), sizeof(value));
    return value;
}

// The last attribute of each type in [0, Max].
template<std::size_t Max>
class Attributes {
public:
    explicit Attributes(Bytes bytes) {
        for_each_attribute(bytes, [this](const nlattr& attribute) {
            const auto type = static_cast<std::size_t>(nla_type(&attribute));
            if (type < found_.size())
                found_[type] = &attribute;
        });
    }

    [[nodiscard]] const nlattr* find(std::size_t type) const { return found_[type]; }
    [[nodiscard]] std::uint32_t u32(std::size_t type) const { return number<std::uint32_t>(found_[type]); }
    [[nodiscard]] std::uint64_t u64(std::size_t type) const { return number<std::uint64_t>(found_[type]); }

    [[nodiscard]] std::string text(std::size_t type) const {
        if (found_[type] == nullptr)
            return {};
        const Bytes bytes = payload(*found_[type]);
        const auto* start = reinterpret_cast<const char*>(bytes.data());
        return {start, strnlen(start, bytes.size())};
    }

private:
    std::array<const nlattr*, Max + 1> found_{};
};

OpStats decode_op(const Attributes<VRAMSWAP_OP_A_MAX>& attributes) {
    OpStats op{.requests = attributes.u64(VRAMSWAP_OP_A_REQUESTS),
               .bytes = attributes.u64(VRAMSWAP_OP_A_BYTES),
               .errors = attributes.u64(VRAMSWAP_OP_A_ERRORS),
               .latency_ns = attributes.u64(VRAMSWAP_OP_A_LATENCY_NS)};
    if (const nlattr* buckets = attributes.find(VRAMSWAP_OP_A_LATENCY); buckets != nullptr)
        std::memcpy(op.latency.data(), nla_data(buckets), std::min(payload(*buckets).size(), sizeof(op.latency)));
    return op;
}

// --- errors ---

constexpr const char* not_loaded = "the vramswap module is not loaded: run modprobe vramswap";

// For a kernel that gave a number and no sentence.
std::string sentence_for(int command, int code) {
    switch (code) {
    case ERANGE: // policies bound nothing but device numbers
        if (command == VRAMSWAP_CMD_ADD)
            return "the number is too high: the kernel has no room for so many devices";
        [[fallthrough]];
    case ENODEV:
        return "there is no such device; vramswapctl status lists them";
    case EPERM:
        return "only root may change devices";
    case EEXIST:
        return "a device of that number exists already";
    case EBUSY:
        return command == VRAMSWAP_CMD_DEL ? "the device is in use: swap it off and stop its helper first"
                                           : "the device is in use";
    case EOPNOTSUPP:
        return "the loaded vramswap module does not know this command: it is of another version";
    default:
        return "the kernel refused: " + errno_text(code);
    }
}

std::unexpected<Error> library_error(std::string_view doing, int status) {
    return fail(EIO, "{}: {}", doing, nl_geterror(status));
}

// The sentence among the attributes that follow a refusal, or nothing.
std::string extended_ack(const nlmsghdr& header, Bytes attributes) {
    if ((header.nlmsg_flags & NLM_F_ACK_TLVS) == 0)
        return {};
    return Attributes<NLMSGERR_ATTR_MSG>(attributes).text(NLMSGERR_ATTR_MSG);
}

Bytes message_data(const nlmsghdr& header) {
    return {static_cast<const std::byte*>(nlmsg_data(&header)), static_cast<std::size_t>(nlmsg_datalen(&header))};
}

Bytes tail(Bytes bytes, std::size_t from) {
    return bytes.subspan(std::min(NLMSG_ALIGN(from), bytes.size()));
}

// --- one request and its answers ---

// Nothing, or the policy checker's own words, which name no attribute.
bool says_nothing(std::string_view sentence) {
    return sentence.empty() || sentence == "integer out of range";
}

struct Exchange {
    int command;
    bool done = false;
    std::vector<std::vector<std::byte>> replies;
    std::optional<Error> failure;

    void refused(int code, std::string sentence) {
        done = true;
        failure =
            Error{.code = code, .message = says_nothing(sentence) ? sentence_for(command, code) : std::move(sentence)};
    }
};

Bytes generic_attributes(const nlmsghdr& header) {
    const auto* generic = static_cast<const genlmsghdr*>(nlmsg_data(&header));
    return {reinterpret_cast<const std::byte*>(genlmsg_attrdata(generic, 0)),
            static_cast<std::size_t>(genlmsg_attrlen(generic, 0))};
}

int on_reply(nl_msg* message, void* argument) {
    nlmsghdr* header = nlmsg_hdr(message);
    if (genlmsg_valid_hdr(header, 0) != 0) {
        const Bytes bytes = generic_attributes(*header);
        static_cast<Exchange*>(argument)->replies.emplace_back(bytes.begin(), bytes.end());
    }
    return NL_OK;
}

int on_ack(nl_msg* /*message*/, void* argument) {
    static_cast<Exchange*>(argument)->done = true;
    return NL_STOP;
}

// The end of a dump carries a status as well.
int on_finish(nl_msg* message, void* argument) {
    auto& exchange = *static_cast<Exchange*>(argument);
    const nlmsghdr& header = *nlmsg_hdr(message);
    const Bytes data = message_data(header);
    int status = 0;
    if (data.size() >= sizeof(status))
        std::memcpy(&status, data.data(), sizeof(status));
    exchange.done = true;
    if (status < 0)
        exchange.refused(-status, extended_ack(header, tail(data, sizeof(status))));
    return NL_STOP;
}

int on_refusal(sockaddr_nl* /*from*/, nlmsgerr* refusal, void* argument) {
    // libnl hands out the payload; the header before it says what follows.
    const auto& header = *reinterpret_cast<const nlmsghdr*>(reinterpret_cast<const std::byte*>(refusal) - NLMSG_HDRLEN);
    const bool capped = (header.nlmsg_flags & NLM_F_CAPPED) != 0;
    const std::size_t echoed = capped ? 0 : refusal->msg.nlmsg_len - sizeof(nlmsghdr);
    static_cast<Exchange*>(argument)->refused(
        -refusal->error, extended_ack(header, tail(message_data(header), sizeof(nlmsgerr) + echoed)));
    return NL_STOP;
}

struct CallbacksDeleter {
    void operator()(nl_cb* callbacks) const { nl_cb_put(callbacks); }
};
using Callbacks = std::unique_ptr<nl_cb, CallbacksDeleter>;

struct MessageDeleter {
    void operator()(nl_msg* message) const { nlmsg_free(message); }
};
using Message = std::unique_ptr<nl_msg, MessageDeleter>;

Callbacks callbacks_for(Exchange& exchange) {
    Callbacks callbacks(nl_cb_alloc(NL_CB_DEFAULT));
    if (!callbacks)
        return callbacks;
    nl_cb_set(callbacks.get(), NL_CB_VALID, NL_CB_CUSTOM, on_reply, &exchange);
    nl_cb_set(callbacks.get(), NL_CB_ACK, NL_CB_CUSTOM, on_ack, &exchange);
    nl_cb_set(callbacks.get(), NL_CB_FINISH, NL_CB_CUSTOM, on_finish, &exchange);
    nl_cb_err(callbacks.get(), NL_CB_CUSTOM, on_refusal, &exchange);
    return callbacks;
}

struct Connection {
    Socket socket;
    int family;
};

Result<Connection> connect_to_family() {
    Socket socket(nl_socket_alloc());
    if (!socket)
        return library_error("cannot make a netlink socket", -NLE_NOMEM);
    if (const int status = genl_connect(socket.get()); status < 0)
        return library_error("cannot open a netlink socket", status);
    const int on = 1; // sentences are a comfort: a kernel that has none still answers
    static_cast<void>(setsockopt(nl_socket_get_fd(socket.get()), SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on)));
    const int family = genl_ctrl_resolve(socket.get(), VRAMSWAP_GENL_NAME);
    if (family == -NLE_OBJ_NOTFOUND)
        return fail(ENOENT, not_loaded);
    if (family < 0)
        return library_error("cannot look up the vramswap netlink family", family);
    return Connection{.socket = std::move(socket), .family = family};
}

} // namespace

DeviceInfo decode_device(Bytes attributes) {
    const Attributes<VRAMSWAP_A_MAX> found(attributes);
    return {.index = found.u32(VRAMSWAP_A_INDEX),
            .name = found.text(VRAMSWAP_A_NAME),
            .state = found.u32(VRAMSWAP_A_STATE),
            .capacity = found.u64(VRAMSWAP_A_CAPACITY),
            .used = found.u64(VRAMSWAP_A_USED),
            .queues = found.u32(VRAMSWAP_A_QUEUES),
            .slots = found.u32(VRAMSWAP_A_SLOTS),
            .slot_size = found.u32(VRAMSWAP_A_SLOT_SIZE),
            .hold_timeout_ms = found.u32(VRAMSWAP_A_HOLD_TIMEOUT_MS),
            .io_timeout_ms = found.u32(VRAMSWAP_A_IO_TIMEOUT_MS),
            .cookie = found.u64(VRAMSWAP_A_COOKIE),
            .label = found.text(VRAMSWAP_A_LABEL),
            .helper_pid = found.u32(VRAMSWAP_A_HELPER_PID),
            .openers = found.u32(VRAMSWAP_A_OPENERS),
            .reason = static_cast<int>(found.u32(VRAMSWAP_A_REASON))};
}

Event decode_event(Bytes attributes) {
    const Attributes<VRAMSWAP_A_MAX> found(attributes);
    return {.kind = found.u32(VRAMSWAP_A_EVENT), .device = decode_device(attributes)};
}

std::optional<QueueStats> decode_queue(Bytes attributes) {
    const nlattr* nest = Attributes<VRAMSWAP_A_MAX>(attributes).find(VRAMSWAP_A_QUEUE_STATS);
    if (nest == nullptr)
        return std::nullopt;
    const Attributes<VRAMSWAP_QUEUE_A_MAX> found(payload(*nest));
    QueueStats queue{.index = found.u32(VRAMSWAP_QUEUE_A_INDEX),
                     .doorbells = found.u64(VRAMSWAP_QUEUE_A_DOORBELLS),
                     .enters = found.u64(VRAMSWAP_QUEUE_A_ENTERS),
                     .waits = found.u64(VRAMSWAP_QUEUE_A_WAITS),
                     .replayed = found.u64(VRAMSWAP_QUEUE_A_REPLAYED),
                     .spins = found.u64(VRAMSWAP_QUEUE_A_SPINS),
                     .inflight = found.u32(VRAMSWAP_QUEUE_A_INFLIGHT),
                     .ops = {}};
    for_each_attribute(payload(*nest), [&queue](const nlattr& attribute) {
        if (nla_type(&attribute) != VRAMSWAP_QUEUE_A_OP)
            return;
        const Attributes<VRAMSWAP_OP_A_MAX> op(payload(attribute));
        if (op.u32(VRAMSWAP_OP_A_OP) < queue.ops.size())
            queue.ops[op.u32(VRAMSWAP_OP_A_OP)] = decode_op(op);
    });
    return queue;
}

void SocketDeleter::operator()(nl_sock* socket) const {
    nl_socket_free(socket);
}

Result<Control> Control::open() {
    auto connection = connect_to_family();
    if (!connection)
        return pass_on(connection);
    return Control(std::move(connection->socket), connection->family);
}

Result<Control::Replies> Control::exchange(int command, int flags, Numbers numbers) {
    const Message message(nlmsg_alloc());
    Exchange exchange{.command = command, .replies = {}, .failure = {}};
    const Callbacks callbacks = callbacks_for(exchange);
    if (!message || !callbacks)
        return library_error("cannot ask the kernel", -NLE_NOMEM);
    genlmsg_put(message.get(), NL_AUTO_PORT, NL_AUTO_SEQ, family_, 0, flags | NLM_F_ACK,
                static_cast<std::uint8_t>(command), VRAMSWAP_GENL_VERSION);
    for (const auto& [type, value] : numbers)
        if (value)
            nla_put_u32(message.get(), type, *value); // a fresh message has a page of room, we put five numbers at most
    if (const int status = nl_send_auto(socket_.get(), message.get()); status < 0)
        return library_error("cannot ask the kernel", status);
    while (!exchange.done) {
        const int status = nl_recvmsgs(socket_.get(), callbacks.get());
        // Once done, a negative status only repeats the refusal, or says that a device came or went during a dump.
        if (status < 0 && !exchange.done)
            return library_error("cannot read the kernel's answer", status);
    }
    if (exchange.failure)
        return std::unexpected(std::move(*exchange.failure));
    return std::move(exchange.replies);
}

Result<DeviceInfo> Control::exchange_for_device(int command, Numbers numbers) {
    auto replies = exchange(command, 0, numbers);
    if (!replies)
        return pass_on(replies);
    if (replies->empty())
        return fail(EBADMSG, "the kernel's answer says nothing of a device");
    return decode_device(replies->front());
}

Result<void> Control::exchange_for_nothing(int command, Numbers numbers) {
    auto replies = exchange(command, 0, numbers);
    if (!replies)
        return pass_on(replies);
    return {};
}

Result<std::vector<DeviceInfo>> Control::devices() {
    auto replies = exchange(VRAMSWAP_CMD_GET, NLM_F_DUMP, {});
    if (!replies)
        return pass_on(replies);
    std::vector<DeviceInfo> devices;
    for (const auto& reply : *replies)
        devices.push_back(decode_device(reply));
    std::ranges::sort(devices, {}, &DeviceInfo::index);
    return devices;
}

Result<DeviceInfo> Control::device(std::uint32_t index) {
    return exchange_for_device(VRAMSWAP_CMD_GET, {{VRAMSWAP_A_INDEX, index}});
}

Result<DeviceInfo> Control::add(const AddOptions& options) {
    return exchange_for_device(VRAMSWAP_CMD_ADD, {{VRAMSWAP_A_INDEX, options.index},
                                                  {VRAMSWAP_A_QUEUES, options.queues},
                                                  {VRAMSWAP_A_SLOTS, options.slots},
                                                  {VRAMSWAP_A_SLOT_SIZE, options.slot_size}});
}

Result<void> Control::del(std::uint32_t index) {
    return exchange_for_nothing(VRAMSWAP_CMD_DEL, {{VRAMSWAP_A_INDEX, index}});
}

Result<void> Control::set(std::uint32_t index, const SetOptions& options) {
    return exchange_for_nothing(VRAMSWAP_CMD_SET, {{VRAMSWAP_A_INDEX, index},
                                                   {VRAMSWAP_A_HOLD_TIMEOUT_MS, options.hold_timeout_ms},
                                                   {VRAMSWAP_A_IO_TIMEOUT_MS, options.io_timeout_ms}});
}

Result<std::vector<QueueStats>> Control::stats(std::uint32_t index) {
    std::vector<QueueStats> queues;
    for (std::uint32_t queue = 0;; ++queue) {
        auto replies = exchange(VRAMSWAP_CMD_STATS, 0, {{VRAMSWAP_A_INDEX, index}, {VRAMSWAP_A_QUEUE, queue}});
        if (!replies && replies.error().code == ENOENT && queue > 0)
            return queues;
        if (!replies)
            return pass_on(replies);
        const auto stats = replies->empty() ? std::nullopt : decode_queue(replies->front());
        if (!stats)
            return fail(EBADMSG, "the kernel's answer holds no statistics");
        queues.push_back(*stats);
    }
}

// --- events ---

namespace {

struct Reception {
    int family;
    std::deque<Event>& pending;
    bool unloaded = false;
};

// Two groups end here: the module's own events, and the controller's word on families that come and go.
int on_notice(nl_msg* message, void* argument) {
    auto& reception = *static_cast<Reception*>(argument);
    nlmsghdr* header = nlmsg_hdr(message);
    if (genlmsg_valid_hdr(header, 0) == 0)
        return NL_OK;
    const int command = genlmsg_hdr(header)->cmd;
    const Bytes attributes = generic_attributes(*header);
    if (header->nlmsg_type == reception.family && command == VRAMSWAP_CMD_EVENT) {
        reception.pending.push_back(decode_event(attributes));
    } else if (header->nlmsg_type == GENL_ID_CTRL && command == CTRL_CMD_DELFAMILY) {
        const Attributes<CTRL_ATTR_FAMILY_NAME> gone(attributes);
        reception.unloaded |= gone.text(CTRL_ATTR_FAMILY_NAME) == VRAMSWAP_GENL_NAME;
    }
    return NL_OK;
}

Result<void> join(nl_sock& socket, const char* family, const char* group) {
    int status = genl_ctrl_resolve_grp(&socket, family, group);
    if (status >= 0)
        status = nl_socket_add_memberships(&socket, status, 0);
    if (status < 0)
        return library_error("cannot follow the kernel's events", status);
    return {};
}

} // namespace

Result<EventStream> EventStream::open() {
    auto connection = connect_to_family();
    if (!connection)
        return pass_on(connection);
    nl_sock& socket = *connection->socket;
    nl_socket_disable_seq_check(&socket); // events answer no request
    if (auto joined = join(socket, VRAMSWAP_GENL_NAME, VRAMSWAP_GENL_MCGRP_EVENTS); !joined)
        return pass_on(joined);
    if (auto joined = join(socket, "nlctrl", "notify"); !joined)
        return pass_on(joined);
    return EventStream(std::move(connection->socket), connection->family);
}

Result<void> EventStream::receive() {
    Reception reception{.family = family_, .pending = pending_};
    nl_socket_modify_cb(socket_.get(), NL_CB_VALID, NL_CB_CUSTOM, on_notice, &reception);
    const int status = nl_recvmsgs_default(socket_.get());
    if (status == -NLE_NOMEM) // what libnl makes of ENOBUFS
        return fail(ENOBUFS, "events came too fast: some were lost");
    if (status < 0)
        return library_error("cannot read events", status);
    if (reception.unloaded)
        return fail(ENODEV, "the vramswap module was unloaded");
    return {};
}

Result<Event> EventStream::next() {
    while (pending_.empty())
        if (auto received = receive(); !received)
            return pass_on(received);
    Event event = std::move(pending_.front());
    pending_.pop_front();
    return event;
}

} // namespace vramswap
