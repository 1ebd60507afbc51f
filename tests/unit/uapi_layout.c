/* SPDX-License-Identifier: MIT */
/*
 * The uapi headers are C, and say the same there as in C++ (uapi_layout.cpp). uapi_c.cmake compiles this file; that it
 * compiles is the test.
 */
#include "uapi_expected.h"
