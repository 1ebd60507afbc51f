// SPDX-License-Identifier: MIT
// Catch2, whichever of its versions 3 and 2 the distribution has.
#pragma once

#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
#else
#include <catch2/catch.hpp>
#endif
