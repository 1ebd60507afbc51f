// SPDX-License-Identifier: MIT
// What tests ask of the fake driver beyond what a driver does, found with dlsym.
#pragma once

extern "C" {

/// Sets the faults anew ("" for none), heals what they broke, and counts from zero again. cuInit does the same with
/// the environment variable VRAMSWAP_FAKE_CUDA.
void vramswapFakeArm(const char* faults);

/// From now on the functions called are remembered.
void vramswapFakeMark();

/// Their real names since the last mark, each once, in alphabetical order with a blank behind each. Valid until the
/// next call of this.
const char* vramswapFakeCalled();

/// How often a function was called since the process started.
unsigned long long vramswapFakeCalls(const char* name);

/// What this process has made and not unmade, in words; empty if nothing. Valid until this thread's next call of this.
const char* vramswapFakeLeft();
}
