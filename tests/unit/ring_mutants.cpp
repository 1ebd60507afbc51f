// SPDX-License-Identifier: MIT
// A program that runs one scenario of the ring, without the unit-test framework: `ring_mutants SCENARIO DEFECT`, where
// DEFECT is the number of one of the deliberate defects that ring_mutations.cmake has put into the headers that this
// was built with, or 0. Says `sound` or `unsound: why`. In the unit tests' own program this file is empty.
#ifdef VRAMSWAP_RING_MUTANT

#include "ring_scenarios.hpp"

#include <chrono>
#include <cstdio>
#include <exception>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>

extern int vs_mutation;
int vs_mutation = 0; // NOLINT(cppcoreguidelines-avoid-non-const-global-variables): the headers' switch

namespace {

using namespace vramswap::test;

std::string run(std::string_view scenario) {
    const bool mutant = vs_mutation != 0;
    const auto patience = std::chrono::seconds(mutant ? 1 : 10);

    if (scenario == "traffic")
        return traffic({.submitters = 2, .operations = 1000, .reaper = true, .patience = patience});
    if (scenario == "wakeups")
        return wakeups({.submitters = 2, .rounds = 5000, .longest_delay = 200, .patience = patience});
    if (scenario == "crossings")
        return mutant ? crossings(1'000'000'000, std::chrono::seconds(100)) // a barrier's absence shows after a while
                      : crossings(100'000);
    if (scenario == "handovers")
        return mutant ? handovers(1'000'000'000, std::chrono::seconds(100)) : handovers(100'000);
    if (scenario == "doorbells")
        return doorbells();
    if (scenario == "refusals")
        return refusals();
    if (scenario == "wrapping")
        return wrapping();
    if (scenario == "early_forgery")
        return early_forgery(200);
    throw std::invalid_argument("there is no such scenario");
}

} // namespace

int main(int argc, char** argv) {
    try {
        const std::span arguments(argv, static_cast<std::size_t>(argc));
        if (arguments.size() != 3)
            throw std::invalid_argument("usage: ring_mutants SCENARIO DEFECT");
        vs_mutation = std::stoi(arguments[2]);
        const std::string why = run(arguments[1]);
        std::puts(why.empty() ? "sound" : ("unsound: " + why).c_str());
        return why.empty() ? 0 : 1;
    } catch (const std::exception& error) {
        std::fputs(error.what(), stderr);
        return 2;
    }
}

#endif
