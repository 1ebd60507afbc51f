// SPDX-License-Identifier: MIT
// The assertions of uapi_expected.h are the test; what is left are the things that need a running program.
#include "catch.hpp"

#include "uapi_expected.h"

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <type_traits>

namespace {

template<class T>
constexpr bool is_plain =
    std::is_trivially_copyable_v<T> && std::is_standard_layout_v<T> && std::has_unique_object_representations_v<T>;

// Shared memory and ioctls carry bytes: no padding may leak what was there before.
static_assert(is_plain<vramswap_sqe>);
static_assert(is_plain<vramswap_cqe>);
static_assert(is_plain<vramswap_sq>);
static_assert(is_plain<vramswap_cq>);
static_assert(is_plain<vramswap_region>);
static_assert(is_plain<vramswap_attach>);
static_assert(is_plain<vramswap_enter>);

} // namespace

TEST_CASE("uapi: a CQE read as one word has slot, status and generation where the kernel looks for them", "[uapi]") {
    const vramswap_cqe cqe{.slot = 0x1122, .status = 0x3344, .generation = 0x55667788};
    const auto bytes = std::bit_cast<std::array<unsigned char, 8>>(cqe);
    std::uint16_t slot = 0;
    std::uint16_t status = 0;
    std::uint32_t generation = 0;

    std::memcpy(&slot, bytes.data(), sizeof slot);
    std::memcpy(&status, bytes.data() + 2, sizeof status);
    std::memcpy(&generation, bytes.data() + 4, sizeof generation);
    CHECK(slot == 0x1122);
    CHECK(status == 0x3344);
    CHECK(generation == 0x55667788);
}

TEST_CASE("uapi: the rings' first entries follow their headers and are aligned for single loads", "[uapi]") {
    CHECK(sizeof(vramswap_sq) % alignof(vramswap_sqe) == 0);
    CHECK(sizeof(vramswap_cq) % sizeof(vramswap_cqe) == 0);
    CHECK(sizeof(vramswap_cqe) == sizeof(std::uint64_t));
    CHECK(std::uint64_t{VRAMSWAP_MAX_SLOTS} * VRAMSWAP_MIN_SLOT_SIZE * VRAMSWAP_MAX_QUEUES <=
          VRAMSWAP_MAX_STAGING_BYTES);
}
