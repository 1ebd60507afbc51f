// SPDX-License-Identifier: MIT
// Tables whose cells are told from one subject by a function for each column.
#pragma once

#include "commands.hpp"
#include "table.hpp"

#include <algorithm>
#include <string>
#include <vector>

namespace vramswap::ctl {

template<class Subject>
struct Cell {
    Column column;
    std::string (*text)(const Subject& subject, bool exact);
};

/// The line of `subject` in the columns of `style`, each of which is one of `cells`.
template<class Subject>
Row make_row(const std::vector<Cell<Subject>>& cells, const Subject& subject, const TableStyle& style) {
    Row row;
    for (const Column& column : style.columns) {
        const auto cell = std::ranges::find(cells, column.name, [](const auto& known) { return known.column.name; });
        row.push_back(cell->text(subject, style.exact));
    }
    return row;
}

template<class Subject>
std::vector<Column> columns_of(const std::vector<Cell<Subject>>& cells) {
    std::vector<Column> columns;
    for (const auto& cell : cells)
        columns.push_back(cell.column);
    return columns;
}

} // namespace vramswap::ctl
