// SPDX-License-Identifier: MIT
#include "catch.hpp"

#include "table.hpp"

#include <string>

using namespace vramswap::ctl;

namespace {

const std::vector<Column> columns{{"NAME", false, "who"}, {"SIZE", true, "how much"}, {"STORE", false, "where"}};

} // namespace

TEST_CASE("columns line up and lines have no blanks at their end") {
    REQUIRE(render_table(columns, {{"vramswap0", "4G", "here"}, {"x", "128M", ""}}, true) == "NAME      SIZE STORE\n"
                                                                                             "vramswap0   4G here\n"
                                                                                             "x         128M\n");
}

TEST_CASE("without headings only the cells count") {
    REQUIRE(render_table(columns, {{"a", "1", "b"}}, false) == "a 1 b\n");
    REQUIRE(render_table(columns, {}, false).empty());
}

TEST_CASE("characters of several bytes take one place") {
    REQUIRE(render_table(columns, {{"\xC3\xA9", "1", "b"}, {"ab", "1", "b"}}, false) == "\xC3\xA9  1 b\nab 1 b\n");
}

TEST_CASE("a terminal's width cuts the line") {
    REQUIRE(render_table(columns, {{"vramswap0", "4G", "a long story"}}, false, 17) == "vramswap0 4G a l…\n");
}

TEST_CASE("columns are chosen by name in any case and order") {
    const auto chosen = choose_columns("store,NAME,Name", columns);
    REQUIRE(chosen);
    REQUIRE(chosen->size() == 3);
    REQUIRE((*chosen)[0].name == "STORE");
    REQUIRE((*chosen)[1].name == "NAME");
    REQUIRE((*chosen)[2].name == "NAME");
}

TEST_CASE("an unknown column is refused and the known ones are named") {
    for (const char* names : {"", "NAM", "NAME,", ",NAME", "NAME SIZE"}) {
        const auto chosen = choose_columns(names, columns);
        REQUIRE(!chosen);
        REQUIRE(chosen.error().message.find("NAME, SIZE, STORE") != std::string::npos);
    }
}

TEST_CASE("every column is explained on a line of its own") {
    REQUIRE(explain_columns({columns[0]}) == "  NAME          who\n");
}
