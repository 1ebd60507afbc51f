// SPDX-License-Identifier: MIT
#include "netlink.hpp"

#include <cerrno>
#include <cstring>
#include <vector>

#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <sys/socket.h>
#include <unistd.h>

#include <uapi/vramswap_genl.h>

namespace fuzz {
namespace {

constexpr uid_t nobody = 65534;
constexpr std::uint32_t first_toy = 2; ///< devices from this number on may be added, changed at will and deleted

/// A message, put together by hand: libraries refuse to make broken ones.
class Message {
public:
    Message(std::uint16_t family, std::uint16_t flags, std::uint8_t command, std::uint8_t version,
            std::uint32_t number) {
        const nlmsghdr header{
            .nlmsg_len = 0, .nlmsg_type = family, .nlmsg_flags = flags, .nlmsg_seq = number, .nlmsg_pid = 0};
        const genlmsghdr generic{.cmd = command, .version = version, .reserved = 0};
        append(&header, sizeof header);
        append(&generic, sizeof generic);
    }

    void attribute(std::uint16_t type, const void* data, std::uint16_t size) {
        attribute(type, data, size, static_cast<std::uint16_t>(size + NLA_HDRLEN));
    }
    /// With a length of the sender's choice.
    void attribute(std::uint16_t type, const void* data, std::uint16_t size, std::uint16_t length) {
        const nlattr header{.nla_len = length, .nla_type = type};
        append(&header, sizeof header);
        append(data, size);
        bytes_.resize(NLA_ALIGN(bytes_.size()));
    }

    std::vector<std::byte>& finish() {
        auto* const header = reinterpret_cast<nlmsghdr*>(bytes_.data());
        header->nlmsg_len = static_cast<std::uint32_t>(bytes_.size());
        return bytes_;
    }

private:
    void append(const void* data, std::size_t size) {
        const auto* const from = static_cast<const std::byte*>(data);
        bytes_.insert(bytes_.end(), from, from + size);
    }

    std::vector<std::byte> bytes_;
};

class Caller {
public:
    Caller(std::uint64_t seed, bool privileged, Counts& counts)
        : dice_(seed), privileged_(privileged), counts_(counts),
          fd_(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC)), family_(resolve()) {}
    Caller(const Caller&) = delete;
    Caller& operator=(const Caller&) = delete;
    ~Caller() { (void)::close(fd_); }

    [[nodiscard]] bool found() const { return family_ != 0; }

    void call() {
        ++counts_.netlink;
        const std::uint8_t command = any_command();
        std::uint16_t flags = NLM_F_REQUEST | NLM_F_ACK;
        if (dice_.one_in(4))
            flags = static_cast<std::uint16_t>(flags | NLM_F_DUMP);
        if (dice_.one_in(16))
            flags = static_cast<std::uint16_t>(flags | dice_.word());
        Message message(family_, flags, command, static_cast<std::uint8_t>(dice_.below(3)), ++number_);
        fill(message, command);
        auto& bytes = message.finish();
        if (dice_.one_in(8))
            spoil(bytes);
        send(bytes);
        const int answer = receive();
        const bool changes = command == VRAMSWAP_CMD_ADD || command == VRAMSWAP_CMD_DEL || command == VRAMSWAP_CMD_SET;
        if (!privileged_ && changes && answer == 0 && (flags & NLM_F_DUMP) == 0)
            violation(counts_, "netlink command {} was allowed to nobody", command);
    }

private:
    std::uint16_t resolve() {
        Message message(GENL_ID_CTRL, NLM_F_REQUEST, CTRL_CMD_GETFAMILY, 1, number_);
        message.attribute(CTRL_ATTR_FAMILY_NAME, VRAMSWAP_GENL_NAME, sizeof VRAMSWAP_GENL_NAME);
        send(message.finish());
        std::array<char, 8192> answer{};
        const ssize_t size = ::recv(fd_, answer.data(), answer.size(), 0);
        for (std::size_t at = NLMSG_HDRLEN + GENL_HDRLEN; at + NLA_HDRLEN <= static_cast<std::size_t>(size);) {
            nlattr header{};
            std::memcpy(&header, &answer[at], sizeof header);
            std::uint16_t id = 0;
            std::memcpy(&id, &answer[at + NLA_HDRLEN], sizeof id);
            if (header.nla_type == CTRL_ATTR_FAMILY_ID)
                return id;
            at += NLA_ALIGN(header.nla_len);
        }
        return 0;
    }

    /// Devices come and go less often than the rest: that takes a hundred times as long.
    std::uint8_t any_command() {
        std::uint8_t command = 0;
        do
            command = static_cast<std::uint8_t>(dice_.below(VRAMSWAP_CMD_STATS + 3));
        while ((command == VRAMSWAP_CMD_ADD || command == VRAMSWAP_CMD_DEL) && !dice_.one_in(16));
        return command;
    }

    /// A value that makes sense now and then, for a type that is one of ours, mostly. Devices with a helper may be
    /// looked at, and the one under attack may get other timeouts, but none so long that it stands still.
    void fill(Message& message, std::uint8_t command) {
        const bool looks = command == VRAMSWAP_CMD_GET || command == VRAMSWAP_CMD_STATS;
        const bool tames = command == VRAMSWAP_CMD_SET && dice_.one_in(4);
        const std::uint64_t count = dice_.below(6);
        for (std::uint64_t i = 0; i < count; ++i) {
            auto type = static_cast<std::uint16_t>(dice_.below(VRAMSWAP_A_MAX + 3));
            if (dice_.one_in(8))
                type = static_cast<std::uint16_t>(type | (dice_.one_in(2) ? NLA_F_NESTED : NLA_F_NET_BYTEORDER));
            std::array<std::uint64_t, 8> data{dice_.edgy(), dice_.word()};
            auto size = static_cast<std::uint16_t>(dice_.one_in(4) ? dice_.below(sizeof data) : 4);
            if ((type & NLA_TYPE_MASK) == VRAMSWAP_A_INDEX)
                data[0] = tames ? 0 : looks && dice_.one_in(2) ? dice_.below(first_toy) : first_toy + dice_.below(18);
            if (tames && ((type & NLA_TYPE_MASK) == VRAMSWAP_A_HOLD_TIMEOUT_MS ||
                          (type & NLA_TYPE_MASK) == VRAMSWAP_A_IO_TIMEOUT_MS))
                data[0] = 100 + dice_.below(2000);
            if ((type & NLA_TYPE_MASK) == VRAMSWAP_A_SLOTS || (type & NLA_TYPE_MASK) == VRAMSWAP_A_QUEUES)
                data[0] = dice_.below(9); // a thousand slots in each of 64 queues take long to make
            if (dice_.one_in(16))
                message.attribute(type, data.data(), size, static_cast<std::uint16_t>(dice_.edgy()));
            else
                message.attribute(type, data.data(), size);
        }
    }

    /// Breaks bytes behind the headers, but none that could turn a toy's number into a device's that is in use.
    void spoil(std::vector<std::byte>& bytes) {
        const std::size_t headers = NLMSG_HDRLEN + GENL_HDRLEN;
        if (dice_.one_in(2) && bytes.size() > headers)
            bytes.resize(headers + dice_.below(bytes.size() - headers));
        else
            bytes.resize(bytes.size() + dice_.below(64), std::byte{0xff});
    }

    void send(const std::vector<std::byte>& bytes) const {
        sockaddr_nl kernel{};
        kernel.nl_family = AF_NETLINK;
        (void)::sendto(fd_, bytes.data(), bytes.size(), 0, reinterpret_cast<const sockaddr*>(&kernel), sizeof kernel);
    }

    /// Reads what there is, to the first acknowledgement or the end of a dump; its errno, or -1.
    int receive() {
        int result = -1;
        for (;;) {
            const ssize_t size = ::recv(fd_, answer_.data(), answer_.size(), MSG_DONTWAIT);
            if (size < static_cast<ssize_t>(NLMSG_HDRLEN))
                return result;
            nlmsghdr header{};
            std::memcpy(&header, answer_.data(), sizeof header);
            if (header.nlmsg_seq != number_)
                continue;
            if (header.nlmsg_type == NLMSG_ERROR)
                std::memcpy(&result, &answer_[NLMSG_HDRLEN], sizeof result);
            if (header.nlmsg_type == NLMSG_ERROR || header.nlmsg_type == NLMSG_DONE)
                return result;
        }
    }

    Dice dice_;
    bool privileged_;
    Counts& counts_;
    int fd_;
    std::uint32_t number_ = 0; ///< of the last message
    std::uint16_t family_;
    std::array<char, 65536> answer_{};
};

} // namespace

void netlink(std::uint64_t seed, bool privileged, Counts& counts) {
    if (!privileged && ::setresuid(nobody, nobody, nobody) != 0) {
        violation(counts, "cannot become nobody");
        return;
    }
    Caller caller(seed, privileged, counts);
    if (!caller.found()) {
        violation(counts, "there is no netlink family {}", VRAMSWAP_GENL_NAME);
        return;
    }
    while (!counts.over) {
        caller.call();
        while (counts.netlink > counts.operations && !counts.over)
            (void)::usleep(1000); // the device is what is under attack: no more than half of all is ours
    }
}

} // namespace fuzz
