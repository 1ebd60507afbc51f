// SPDX-License-Identifier: MIT
#include "catch.hpp"

#include "tally.hpp"

#include <vector>

using namespace vramswap;
using namespace vramswap::ctl;

namespace {

LatencyBuckets buckets_with(std::initializer_list<std::pair<std::size_t, std::uint64_t>> counts) {
    LatencyBuckets buckets{};
    for (const auto& [bucket, count] : counts)
        buckets[bucket] = count;
    return buckets;
}

bool near(std::optional<double> value, double expected) {
    return value && *value > expected - 0.01 && *value < expected + 0.01;
}

OpStats op_with(std::uint64_t requests, std::uint64_t bytes, std::uint64_t latency_ns) {
    OpStats op{.requests = requests, .bytes = bytes, .errors = 0, .latency_ns = latency_ns};
    op.latency[10] = requests;
    return op;
}

} // namespace

TEST_CASE("no requests have no latency") {
    REQUIRE(!latency_percentile({}, 0.5));
    REQUIRE(!latency_bound({}));
    REQUIRE(!latency_mean({}));
}

TEST_CASE("a percentile lies in its bucket as far as the requests before it reach") {
    struct Case {
        LatencyBuckets buckets;
        double fraction;
        double expected;
    };
    const std::vector<Case> cases{
        {buckets_with({{10, 100}}), 0.0, 1024},              // a bucket's start
        {buckets_with({{10, 100}}), 0.5, 1536},              // its middle
        {buckets_with({{10, 100}}), 1.0, 2048},              // its end
        {buckets_with({{0, 4}}), 0.5, 1},                    // the first bucket starts at 0
        {buckets_with({{10, 50}, {20, 50}}), 0.5, 2048},     // exactly at a bucket's end
        {buckets_with({{10, 50}, {20, 50}}), 0.75, 1572864}, // half-way through the second
        {buckets_with({{10, 99}, {20, 1}}), 0.99, 2048},     // the one slow request is past the 99th
        {buckets_with({{10, 99}, {20, 1}}), 0.999, 1992294.4},
        {buckets_with({{39, 1}}), 0.5, 824633720832}, // the last bucket is taken to end as the others do
        {buckets_with({{3, 0}, {4, 2}}), 0.5, 24},    // an empty bucket before is no matter
    };
    for (const Case& one : cases)
        REQUIRE(near(latency_percentile(one.buckets, one.fraction), one.expected));
}

TEST_CASE("percentiles never fall as the fraction rises") {
    const LatencyBuckets buckets = buckets_with({{1, 3}, {5, 1}, {12, 700}, {13, 20}, {30, 1}});
    double before = 0;
    for (int i = 0; i <= 1000; ++i) {
        const auto now = latency_percentile(buckets, i / 1000.0);
        REQUIRE(now);
        REQUIRE(*now >= before);
        before = *now;
    }
}

TEST_CASE("the bound is the end of the last bucket in use") {
    REQUIRE(latency_bound(buckets_with({{0, 1}})) == 2U);
    REQUIRE(latency_bound(buckets_with({{3, 1}, {10, 5}})) == 2048U);
    REQUIRE(!latency_bound(buckets_with({{39, 1}}))); // holds all that took longer, too
}

TEST_CASE("the mean is exact") {
    REQUIRE(near(latency_mean(op_with(4, 0, 10)), 2.5));
}

TEST_CASE("operations add up and differ field by field") {
    const OpStats a = op_with(3, 4096, 300);
    const OpStats b = op_with(5, 8192, 700);
    const OpStats sum = op_sum(a, b);
    REQUIRE(sum.requests == 8);
    REQUIRE(sum.bytes == 12288);
    REQUIRE(sum.latency_ns == 1000);
    REQUIRE(sum.latency[10] == 8);
    const OpStats since = op_since(sum, a);
    REQUIRE(since.requests == 5);
    REQUIRE(since.bytes == 8192);
    REQUIRE(since.latency_ns == 700);
    REQUIRE(since.latency[10] == 5);
}

TEST_CASE("counters that went back belong to a new device") {
    const OpStats since = op_since(op_with(2, 100, 10), op_with(9, 900, 90));
    REQUIRE(since.requests == 2);
    REQUIRE(since.bytes == 100);
    REQUIRE(since.latency[10] == 2);
}

TEST_CASE("a device's total is the sum of its queues") {
    QueueStats one;
    one.doorbells = 1;
    one.enters = 2;
    one.waits = 3;
    one.replayed = 4;
    one.spins = 6;
    one.inflight = 5;
    one.ops[VRAMSWAP_STAT_WRITE] = op_with(7, 70, 700);
    const QueueStats total = queue_total(std::vector{one, one, one});
    REQUIRE(total.doorbells == 3);
    REQUIRE(total.enters == 6);
    REQUIRE(total.waits == 9);
    REQUIRE(total.replayed == 12);
    REQUIRE(total.spins == 18);
    REQUIRE(total.inflight == 15);
    REQUIRE(total.ops[VRAMSWAP_STAT_WRITE].requests == 21);
    REQUIRE(total.ops[VRAMSWAP_STAT_READ].requests == 0);
    REQUIRE(queue_total({}).enters == 0);
}
