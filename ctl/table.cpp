// SPDX-License-Identifier: MIT
#include "table.hpp"

#include "format.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <ranges>

namespace vramswap::ctl {
namespace {

bool same_name(std::string_view a, std::string_view b) {
    return std::ranges::equal(a, b,
                              [](unsigned char x, unsigned char y) { return std::toupper(x) == std::toupper(y); });
}

std::string list_names(const std::vector<Column>& columns) {
    std::string names;
    for (const Column& column : columns)
        names += fmt::format("{}{}", names.empty() ? "" : ", ", column.name);
    return names;
}

std::vector<std::size_t> column_widths(const std::vector<Row>& rows, std::size_t columns) {
    std::vector<std::size_t> widths(columns, 0);
    for (const Row& row : rows)
        for (std::size_t i = 0; i < columns; ++i)
            widths[i] = std::max(widths[i], display_width(row[i]));
    return widths;
}

std::string render_row(const Row& row, const std::vector<Column>& columns, const std::vector<std::size_t>& widths) {
    std::string line;
    for (std::size_t i = 0; i < columns.size(); ++i) {
        const std::string padding(widths[i] - display_width(row[i]), ' ');
        line += i == 0 ? "" : " ";
        line += columns[i].right ? padding + row[i] : row[i] + padding;
    }
    line.erase(line.find_last_not_of(' ') + 1);
    return line;
}

} // namespace

Result<std::vector<Column>> choose_columns(std::string_view names, const std::vector<Column>& known) {
    if (names.empty())
        return fail(EINVAL, "no column is named: choose from {}", list_names(known));
    std::vector<Column> chosen;
    for (const auto part : std::views::split(names, ',')) {
        const std::string_view name(part.begin(), part.end());
        const auto found =
            std::ranges::find_if(known, [name](const Column& column) { return same_name(column.name, name); });
        if (found == known.end())
            return fail(EINVAL, "there is no column \"{}\": choose from {}", name, list_names(known));
        chosen.push_back(*found);
    }
    return chosen;
}

std::string explain_columns(const std::vector<Column>& columns) {
    std::string text;
    for (const Column& column : columns)
        text += fmt::format("  {:<13} {}\n", column.name, column.meaning);
    return text;
}

std::string render_table(const std::vector<Column>& columns, const std::vector<Row>& rows, bool headings,
                         std::size_t width) {
    std::vector<Row> lines;
    if (headings) {
        Row& heading = lines.emplace_back();
        for (const Column& column : columns)
            heading.emplace_back(column.name);
    }
    lines.insert(lines.end(), rows.begin(), rows.end());
    const auto widths = column_widths(lines, columns.size());
    std::string text;
    for (const Row& line : lines) {
        const std::string rendered = render_row(line, columns, widths);
        text += width == 0 ? rendered : cut_to_width(rendered, width);
        text += '\n';
    }
    return text;
}

} // namespace vramswap::ctl
