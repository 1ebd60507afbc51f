// SPDX-License-Identifier: MIT
#include "size.hpp"

#include <array>
#include <cerrno>
#include <charconv>
#include <limits>

#include "vramswap.h"

namespace vramswap {

std::optional<unsigned> size_suffix_shift(std::string_view suffix) {
    if (suffix.empty())
        return 0U;
    const std::string_view rest = suffix.substr(1);
    if (!rest.empty() && rest != "iB" && rest != "ib" && rest != "IB")
        return std::nullopt;
    constexpr std::string_view letters = "kmgt";
    const auto place = letters.find(static_cast<char>(suffix.front() | 0x20)); // ASCII lower case
    if (place == std::string_view::npos)
        return std::nullopt;
    return 10U * (static_cast<unsigned>(place) + 1U);
}

Result<std::uint64_t> parse_size(std::string_view text) {
    std::uint64_t number = 0;
    const char* const end = text.data() + text.size();
    const auto [rest, status] = std::from_chars(text.data(), end, number);
    const auto shift = size_suffix_shift({rest, end});
    if (status == std::errc::invalid_argument || !shift)
        return fail(EINVAL,
                    "'{}' is no size; write whole bytes, or a whole number with K, M, G or T (as in 512M or 4G)", text);
    if (status == std::errc::result_out_of_range || number > std::numeric_limits<std::uint64_t>::max() >> *shift)
        return fail(EINVAL, "'{}' is more than a device can hold ({})", text, size_text(VRAMSWAP_MAX_CAPACITY));
    return number << *shift;
}

Result<std::uint64_t> capacity_of(std::uint64_t size) {
    const std::uint64_t rounded = size - size % VRAMSWAP_BLOCK_SIZE;
    if (rounded < VRAMSWAP_MIN_CAPACITY)
        return fail(EINVAL, "the size is {}, but a device holds at least {}", size_text(size),
                    size_text(VRAMSWAP_MIN_CAPACITY));
    if (rounded > VRAMSWAP_MAX_CAPACITY)
        return fail(EINVAL, "the size is {}, but a device holds {} at most", size_text(size),
                    size_text(VRAMSWAP_MAX_CAPACITY));
    return rounded;
}

std::string size_text(std::uint64_t bytes) {
    constexpr std::array units{"TiB", "GiB", "MiB", "KiB"};
    unsigned shift = 40;
    for (const char* const unit : units) {
        const std::uint64_t tenths = (bytes % (1ULL << shift)) * 10;
        if (bytes >> shift != 0 && tenths % (1ULL << shift) == 0) {
            const auto fraction = tenths >> shift;
            return fraction == 0 ? fmt::format("{} {}", bytes >> shift, unit)
                                 : fmt::format("{}.{} {}", bytes >> shift, fraction, unit);
        }
        shift -= 10;
    }
    return fmt::format("{} bytes", bytes);
}

} // namespace vramswap
