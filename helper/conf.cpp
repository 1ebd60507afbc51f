// SPDX-License-Identifier: MIT
#include "conf.hpp"

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <sstream>
#include <system_error>

namespace vramswap {
namespace {

namespace fs = std::filesystem;

std::string_view trimmed(std::string_view text) {
    constexpr std::string_view blanks = " \t\r";
    const auto first = text.find_first_not_of(blanks);
    if (first == std::string_view::npos)
        return {};
    return text.substr(first, text.find_last_not_of(blanks) - first + 1);
}

/// One line after another into sections.
struct Reader {
    const std::string& file;
    std::vector<ConfSection> sections;
    unsigned line = 0;

    Result<void> section(std::string_view text) {
        if (!text.ends_with(']'))
            return fail(EINVAL, "{}:{}: '{}' lacks its ']'", file, line, text);
        const std::string_view name = trimmed(text.substr(1, text.size() - 2));
        sections.push_back({.file = file, .line = line, .name = std::string(name), .entries = {}});
        return {};
    }

    Result<void> entry(std::string_view text) {
        const auto sign = text.find('=');
        if (sign == std::string_view::npos || trimmed(text.substr(0, sign)).empty())
            return fail(EINVAL, "{}:{}: '{}' is neither [SECTION] nor KEY = VALUE", file, line, text);
        if (sections.empty())
            return fail(EINVAL, "{}:{}: '{}' stands before any section; write [vramswap0] above it", file, line, text);
        sections.back().entries.push_back({.line = line,
                                           .key = std::string(trimmed(text.substr(0, sign))),
                                           .value = std::string(trimmed(text.substr(sign + 1)))});
        return {};
    }

    Result<void> read(std::string_view raw) {
        ++line;
        const std::string_view text = trimmed(raw);
        if (text.empty() || text.front() == '#' || text.front() == ';')
            return {};
        return text.front() == '[' ? section(text) : entry(text);
    }
};

/// Names of drop-ins with the files that they stand for; the first folder that has a name wins.
using DropIns = std::map<std::string, std::string>;

Result<void> add_drop_ins(DropIns& found, const fs::path& folder) {
    std::error_code error;
    fs::directory_iterator entries(folder, error);
    if (error == std::errc::no_such_file_or_directory)
        return {};
    for (; !error && entries != fs::directory_iterator(); entries.increment(error))
        if (entries->path().extension() == ".conf" && !fs::is_directory(entries->path()))
            found.emplace(entries->path().filename(), entries->path());
    if (error)
        return fail(error.value(), "{} cannot be read: {}", folder.string(), error.message());
    return {};
}

} // namespace

Result<std::vector<std::string>> conf_files(const std::string& root) {
    std::vector<std::string> files;
    const std::string main = root + "/etc/vramswap.conf";
    if (std::error_code error; fs::exists(main, error) || error)
        files.push_back(main);
    DropIns drop_ins;
    for (const char* const folder : {"/etc", "/run", "/usr/lib"})
        if (auto added = add_drop_ins(drop_ins, root + folder + "/vramswap.conf.d"); !added)
            return pass_on(added);
    for (const auto& [name, file] : drop_ins)
        files.push_back(file);
    return files;
}

Result<std::vector<ConfSection>> conf_parse(std::string_view text, const std::string& file) {
    Reader reader{.file = file, .sections = {}};
    std::istringstream lines{std::string(text)};
    for (std::string line; std::getline(lines, line);)
        if (auto read = reader.read(line); !read)
            return pass_on(read);
    return std::move(reader.sections);
}

Result<std::vector<ConfSection>> conf_read(const std::vector<std::string>& files) {
    std::vector<ConfSection> all;
    for (const std::string& name : files) {
        if (fs::is_directory(name))
            return fail(EISDIR, "{} is a folder; it must be a file", name);
        std::ifstream file(name);
        const std::string text(std::istreambuf_iterator<char>(file), {});
        if (!file)
            return fail(errno, "{} cannot be read: {}", name, errno_text(errno));
        auto sections = conf_parse(text, name);
        if (!sections)
            return pass_on(sections);
        std::ranges::move(*sections, std::back_inserter(all));
    }
    return all;
}

} // namespace vramswap
