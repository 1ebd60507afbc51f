// SPDX-License-Identifier: MIT
//
// The pages of swap_torture: how they are written, verified, and what a wrong one seems to be.
//
// A page's first four words are its number, its version, the run's seed and a key made of these three; the other words
// follow from the key. None of them is worth compressing, and all of them are checked.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

namespace torture {

// Prints, as far as that is possible: a file in a tmpfs may have been in the swap that was lost.
template<class... Parts>
void tell(std::FILE* file, fmt::format_string<Parts...> format, Parts&&... parts) {
    (void)std::fputs(fmt::format(format, std::forward<Parts>(parts)...).c_str(), file);
}

inline constexpr std::size_t page_size = 4096;
inline constexpr std::size_t page_words = page_size / sizeof(std::uint64_t);
inline constexpr std::size_t header_words = 4;
// The golden ratio and a multiplier of splitmix64 (Steele, Lea, Flood 2014): odd, with bits well spread.
inline constexpr std::uint64_t golden = 0x9e3779b97f4a7c15;
inline constexpr std::uint64_t mixer = 0xbf58476d1ce4e5b9;

inline std::uint64_t mix(std::uint64_t x) {
    x ^= x >> 30;
    x *= mixer;
    x ^= x >> 27;
    x *= 0x94d049bb133111eb;
    return x ^ (x >> 31);
}

struct PageName {
    std::uint64_t number; // in the whole run, not only in its worker
    std::uint64_t version;
    std::uint64_t seed;

    [[nodiscard]] std::uint64_t key() const { return mix(seed ^ mix(number ^ mix(version))); }
};

// The word after the header: one addition, one multiplication and a fold each, as emulated guests are slow.
inline std::uint64_t next_word(std::uint64_t& state) {
    state += golden;
    const std::uint64_t x = state * mixer;
    return x ^ (x >> 32);
}

inline void write_page(std::uint64_t* page, const PageName& name) {
    std::uint64_t state = name.key();
    page[0] = name.number;
    page[1] = name.version;
    page[2] = name.seed;
    page[3] = state;
    for (std::size_t i = header_words; i < page_words; ++i)
        page[i] = next_word(state);
}

inline bool page_is(const std::uint64_t* page, const PageName& name) {
    std::uint64_t state = name.key();
    std::uint64_t difference = (page[0] ^ name.number) | (page[1] ^ name.version) | (page[2] ^ name.seed);
    difference |= page[3] ^ state;
    for (std::size_t i = header_words; i < page_words; ++i)
        difference |= page[i] ^ next_word(state);
    return difference == 0;
}

// What a wrong page seems to be.
inline std::string describe(const std::uint64_t* page, const PageName& expected) {
    const std::span words(page, page_words);
    const auto zeros = static_cast<std::size_t>(std::ranges::count(words, 0U));
    if (zeros == page_words)
        return "all zeros";
    const PageName found{.number = page[0], .version = page[1], .seed = page[2]};
    if (page[3] != found.key())
        return fmt::format("no page of this program ({} words are zero)", zeros);
    const std::string_view body = page_is(page, found) ? "whole" : "with a broken body";
    if (found.seed != expected.seed)
        return fmt::format("a page of another run, {}", body);
    if (found.number != expected.number)
        return fmt::format("page {} version {}, {}", found.number, found.version, body);
    if (found.version != expected.version)
        return fmt::format("the same page in version {}, {}", found.version, body);
    return fmt::format("the same page and version, {}", body);
}

// Looks at a copy, so that all that is printed is of one moment.
inline void report_wrong(const std::uint64_t* page, const PageName& expected) {
    std::array<std::uint64_t, page_words> found{};
    std::array<std::uint64_t, page_words> right{};
    std::memcpy(found.data(), page, page_size);
    write_page(right.data(), expected);
    std::size_t first = page_words;
    std::size_t wrong_words = 0;
    for (std::size_t i = page_words; i-- > 0;) {
        if (found.at(i) != right.at(i)) {
            first = i;
            ++wrong_words;
        }
    }
    if (wrong_words == 0) {
        tell(stderr, "swap_torture: WRONG page {}: differed once, but not when read again\n", expected.number);
        return;
    }
    tell(stderr,
         "swap_torture: WRONG page {} version {}: at offset {} expected {:016x}, found {:016x}; "
         "{} of {} words differ; it seems to be {}\n",
         expected.number, expected.version, first * sizeof(std::uint64_t), right.at(first), found.at(first),
         wrong_words, page_words, describe(found.data(), expected));
}

} // namespace torture
