// SPDX-License-Identifier: MIT
#include "patient.hpp"

#include "terminal.hpp"

#include <algorithm>
#include <charconv>
#include <system_error>

namespace vramswap::ctl {

namespace fs = std::filesystem;

bool has(const Patient& patient, std::string_view path) {
    std::error_code error;
    return fs::exists(patient.root + std::string(path), error);
}

std::string text_of(const Patient& patient, std::string_view path) {
    std::string text = read_text(patient.root + std::string(path));
    text.erase(text.find_last_not_of(" \t\n") + 1);
    return text;
}

std::optional<long> number_in(const Patient& patient, std::string_view path) {
    const std::string text = text_of(patient, path);
    long number = 0;
    const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (status != std::errc{} || end != text.data() + text.size())
        return std::nullopt;
    return number;
}

std::vector<fs::path> entries_of(const Patient& patient, std::string_view path) {
    std::vector<fs::path> entries;
    std::error_code error;
    for (fs::directory_iterator at(patient.root + std::string(path), error), end; !error && at != end;
         at.increment(error))
        entries.push_back(at->path());
    std::ranges::sort(entries);
    return entries;
}

std::string release_of(const Patient& patient) {
    return text_of(patient, "/proc/sys/kernel/osrelease");
}

} // namespace vramswap::ctl
