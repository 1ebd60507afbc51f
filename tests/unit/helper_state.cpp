// SPDX-License-Identifier: MIT
#include "catch.hpp"

#include <cerrno>
#include <string>
#include <vector>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <helper/ring_errors.hpp>
#include <helper/session_state.hpp>

#include "vramswap.h"

using namespace vramswap;

namespace {

SessionState reopened(const SessionState& state) {
    return SessionState::adopt(Fd(::fcntl(state.fd(), F_DUPFD_CLOEXEC, 0)));
}

SessionState written(const Record& record) {
    auto state = SessionState::make();
    REQUIRE(state.has_value());
    REQUIRE(state->write(record).has_value());
    return std::move(*state);
}

const Record full{.valid = true,
                  .cookie = 0xfedcba9876543210,
                  .capacity = 1ULL << 40,
                  .device = 15,
                  .engine = EngineChoice::host,
                  .label = "host memory (/dev/dax0.0)",
                  .store = "/dev/dax0.0",
                  .tuning = "eeebbbkeeeeeee"};

} // namespace

TEST_CASE("a successor reads what was written") {
    const SessionState state = written(full);
    const auto record = reopened(state).read();
    REQUIRE(record.has_value());
    REQUIRE(record->valid);
    REQUIRE(record->cookie == full.cookie);
    REQUIRE(record->capacity == full.capacity);
    REQUIRE(record->device == full.device);
    REQUIRE(record->engine == full.engine);
    REQUIRE(record->label == full.label);
    REQUIRE(record->store == full.store);
    REQUIRE(record->tuning == full.tuning);
}

TEST_CASE("a successor learns that the contents are in a GPU, and in which") {
    Record record = full;
    record.engine = EngineChoice::cuda;
    record.store = "GPU-01234567-89ab-cdef-0123-456789abcdef";
    const auto read = written(record).read();
    REQUIRE(read.has_value());
    REQUIRE(read->engine == EngineChoice::cuda);
    REQUIRE(read->store == record.store);
}

TEST_CASE("an engine of a later version is refused by name") {
    const SessionState state = written(full);
    REQUIRE(::pwrite(state.fd(), "hip", 4, 40) == 4);
    const auto read = state.read();
    REQUIRE(!read.has_value());
    REQUIRE(read.error().message.find("'hip'") != std::string::npos);
}

TEST_CASE("a new record vouches for nothing") {
    auto state = SessionState::make();
    REQUIRE(state.has_value());
    REQUIRE(!state->read()->valid);
}

TEST_CASE("an invalidated record vouches for nothing, in every copy") {
    SessionState state = written(full);
    const SessionState copy = reopened(state);
    REQUIRE(state.invalidate().has_value());
    REQUIRE(!copy.read()->valid);
    REQUIRE(copy.read()->cookie == full.cookie);
}

TEST_CASE("texts as long as allowed survive, longer ones are cut") {
    Record record = full;
    record.store = std::string(max_store_path, 'p');
    record.label = std::string(VRAMSWAP_LABEL_SIZE + 10, 'l');
    const SessionState state = written(record);
    REQUIRE(state.read()->store == record.store);
    REQUIRE(state.read()->label == std::string(VRAMSWAP_LABEL_SIZE - 1, 'l'));
}

TEST_CASE("what is no record is not read") {
    const auto refused = [](int fd) {
        const auto record = SessionState::adopt(Fd(fd)).read();
        REQUIRE(!record.has_value());
        REQUIRE(record.error().code == EPROTO);
    };
    refused(::memfd_create("empty", MFD_CLOEXEC));
    const int zeroes = ::memfd_create("zeroes", MFD_CLOEXEC);
    REQUIRE(::ftruncate(zeroes, 1 << 16) == 0);
    refused(zeroes);
    refused(::open("/dev/null", O_RDWR | O_CLOEXEC));

    const SessionState state = written(full);
    constexpr std::uint32_t other_version = 99;
    REQUIRE(::pwrite(state.fd(), &other_version, sizeof other_version, 8) == sizeof other_version);
    const auto record = state.read();
    REQUIRE(!record.has_value());
    REQUIRE(record.error().message.find("99") != std::string::npos);
}

TEST_CASE("every error of the kernel's contract has a sentence of its own") {
    struct Row {
        Call call;
        std::vector<int> codes;
    };
    const std::vector<int> endings{EBADMSG, ETIMEDOUT, ESTALE, ESHUTDOWN, ENODEV};
    const std::vector<Row> rows{
        {Call::open, {ENOENT, EACCES, EPERM, EBUSY, ENODEV, ENXIO, ENOMEM}},
        {Call::attach, {EPROTONOSUPPORT, EINVAL, ERANGE, EALREADY, EBUSY, EEXIST, ESTALE, ENOMEM, ENODEV}},
        {Call::map, {EACCES, EINVAL, ENOTCONN, ENOMEM, EAGAIN}},
        {Call::start, {ENOTCONN, EALREADY, EDEADLK}},
        {Call::start, endings},
        {Call::enter, {ENOTCONN, EINVAL, EDEADLK, EBUSY, EINTR}},
        {Call::enter, endings},
        {Call::stop, {ENOTCONN, EBUSY}},
        {Call::stop, endings},
    };
    for (const Row& row : rows)
        for (const int code : row.codes) {
            const Error error = ring_error(row.call, code, 7);
            INFO(error.message);
            REQUIRE(error.code == code);
            REQUIRE(error.message.find("vramswap") != std::string::npos);
            REQUIRE(error.message.find(errno_text(code)) == std::string::npos); // not the fallback
            REQUIRE(error.message.find('{') == std::string::npos);
        }
}

TEST_CASE("an error outside the contract is shown in the system's words") {
    const Error error = ring_error(Call::stop, EXDEV, 7);
    REQUIRE(error.message == "could not stop vramswap7: " + errno_text(EXDEV));
}

TEST_CASE("the sentences that users need say what to do") {
    const auto says = [](Call call, int code, const char* what) {
        return ring_error(call, code, 3).message.find(what) != std::string::npos;
    };
    REQUIRE(says(Call::open, ENOENT, "modprobe vramswap"));
    REQUIRE(says(Call::open, EACCES, "root"));
    REQUIRE(says(Call::attach, EEXIST, "vramswapctl set 3 --hold-timeout 0"));
    REQUIRE(says(Call::attach, EBUSY, "swapoff"));
    REQUIRE(says(Call::start, EDEADLK, "CAP_SYS_RESOURCE"));
    REQUIRE(says(Call::stop, EBUSY, "swapoff"));
}
