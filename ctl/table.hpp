// SPDX-License-Identifier: MIT
// Aligned columns of which the user may choose. Pure.
#pragma once

#include "error.hpp"

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace vramswap::ctl {

/// A column's heading is also its name for --output.
struct Column {
    std::string_view name;
    bool right = false;       // flush right, as numbers are
    std::string_view meaning; ///< for --help
};

using Row = std::vector<std::string>;

/// "SIZE,name" → columns of `known`, in that order; the letters' case does not matter. Errors name what is known.
Result<std::vector<Column>> choose_columns(std::string_view names, const std::vector<Column>& known);

/// "NAME  what it means", a line for each column.
std::string explain_columns(const std::vector<Column>& columns);

/// A line for each row, as long as it needs to be; with `width`, cut to that many terminal columns, and marked so. Rows
/// have a cell for each column. Cells are printed as they are: make foreign text printable() first.
std::string render_table(const std::vector<Column>& columns, const std::vector<Row>& rows, bool headings,
                         std::size_t width = 0);

} // namespace vramswap::ctl
