// SPDX-License-Identifier: MIT
// The situations that the ring is put into. Each returns an empty string, or what went wrong. Those with a `longest`
// end after that time also with fewer rounds than asked for; those with a `patience` fail if nothing moves for that
// long.
#pragma once

#include "kernel_half.hpp"

#include <chrono>
#include <cstdint>
#include <string>

namespace vramswap::test {

/// Random reads, writes and zeroings of whole blocks against a model of every byte, answered late and out of order,
/// some with an error.
struct Traffic {
    Shape shape = {};
    unsigned submitters = 1;
    unsigned depth = 8;           ///< requests that each submitter keeps under way
    std::uint64_t operations = 0; ///< of each submitter
    bool reaper = false;          ///< a thread besides the helper's reaps
    std::uint64_t seed = 1;
    std::chrono::milliseconds longest = std::chrono::seconds(5);
    std::chrono::milliseconds patience = std::chrono::seconds(10);
};
std::string traffic(const Traffic& traffic);

/// One request at a time from each submitter, and a helper that goes to sleep whenever it has nothing to do. The next
/// request comes at about the moment at which the helper falls asleep.
struct Wakeups {
    unsigned submitters = 1;
    std::uint64_t rounds = 0;        ///< of each submitter
    std::uint64_t longest_delay = 0; ///< before a request, in steps of about a nanosecond
    unsigned spin = 0;               ///< looks that a submitter takes for its own answer, at most
    std::chrono::milliseconds longest = std::chrono::seconds(5);
    std::chrono::milliseconds patience = std::chrono::seconds(10);
};
std::string wakeups(const Wakeups& wakeups);

/// A submitter publishes and looks for a sleeper at the very moment at which the helper lies down and looks for work:
/// at least one must see the other. The ring's verbs alone, so that a round takes no longer than the race itself.
std::string crossings(std::uint64_t rounds, std::chrono::milliseconds longest = std::chrono::seconds(5));

/// A submitter that has taken CQEs by itself leaves at the very moment at which the helper publishes one and looks
/// whether it has to ENTER: at least one must see the other. The ring's verbs alone.
std::string handovers(std::uint64_t rounds, std::chrono::milliseconds longest = std::chrono::seconds(5));

/// Several doorbells for each sleep: exactly one wakes, and none does when nobody sleeps.
std::string doorbells();

/// No work for a while: the helper must stay asleep.
std::string idleness(std::chrono::milliseconds duration);

/// Every way in which a CQE or the CQ's tail can be wrong, each in a session of its own.
std::string refusals();

/// The tails pass 2^32 and the generations 2^31, looked at one by one.
std::string wrapping();

/// A CQE forged so early that it claims the slot before its SQE is out. All that the submitter wrote about the request
/// before it published the slot must be visible. Only ThreadSanitizer (or a weakly ordered processor) can tell.
std::string early_forgery(std::uint64_t rounds, std::chrono::milliseconds longest = std::chrono::seconds(5));

} // namespace vramswap::test
