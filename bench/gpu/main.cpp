// SPDX-License-Identifier: MIT
//
// gpu_bench: proves and measures the CUDA engine where no kernel module can be loaded. bench/gpu/run.sh builds and runs
// it. Exit status: 0 all right, 1 a check failed or something could not be measured, 2 bad usage, 3 nothing failed but
// something was skipped (and --allow-skips was not given).

#include <array>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include <getopt.h>

#include <fmt/format.h>

#include <helper/io_thread.hpp>
#include <helper/size.hpp>

#include "plan.hpp"

namespace {

using namespace vramswap;
using namespace vramswap::bench;

constexpr const char* usage = "usage: gpu_bench [--library FILE] [--gpu GPU] [--size BYTES] [--milliseconds N] "
                              "[--queues N] [--report PATH-WITHOUT-SUFFIX] [--only STEP] [--allow-skips]\n";
constexpr int skipped_status = 3;

struct Options {
    Setting setting;
    std::string report = "gpu";
    std::string only;
    bool skips_allowed = false;
};

bool number(const char* text, unsigned& value) {
    const auto parsed = std::from_chars(text, text + std::strlen(text), value);
    return parsed.ec == std::errc() && *parsed.ptr == '\0' && value > 0;
}

bool parse(int argc, char** argv, Options& options) {
    static constexpr std::array<option, 9> known{{{"library", required_argument, nullptr, 'l'},
                                                  {"gpu", required_argument, nullptr, 'g'},
                                                  {"size", required_argument, nullptr, 's'},
                                                  {"milliseconds", required_argument, nullptr, 'm'},
                                                  {"queues", required_argument, nullptr, 'q'},
                                                  {"report", required_argument, nullptr, 'r'},
                                                  {"only", required_argument, nullptr, 'o'},
                                                  {"allow-skips", no_argument, nullptr, 'a'},
                                                  {}}};
    bool right = true;
    for (int one = 0; right && (one = ::getopt_long(argc, argv, "", known.data(), nullptr)) >= 0;) {
        unsigned value = 0;
        switch (one) {
        case 'l':
            options.setting.libcuda = optarg;
            break;
        case 'g':
            options.setting.gpu = optarg;
            break;
        case 's':
            if (const auto size = parse_size(optarg); size && *size >= 128ULL << 20)
                options.setting.capacity = *size / VRAMSWAP_BLOCK_SIZE * VRAMSWAP_BLOCK_SIZE;
            else
                right = false;
            break;
        case 'm':
            right = number(optarg, value);
            options.setting.time = std::chrono::milliseconds(value);
            break;
        case 'q':
            right = number(optarg, options.setting.queues) && options.setting.queues <= max_queues;
            break;
        case 'r':
            options.report = optarg;
            break;
        case 'o':
            options.only = optarg;
            break;
        case 'a':
            options.skips_allowed = true;
            break;
        default:
            right = false;
        }
    }
    return right && optind == argc;
}

} // namespace

int main(int argc, char** argv) {
    try {
        Options options;
        if (!parse(argc, argv, options)) {
            fmt::print(stderr, "{}", usage);
            return 2;
        }
        if (const auto ready = IoThread::accept_kicks(); !ready) {
            fmt::print(stderr, "gpu_bench: {}\n", ready.error().message);
            return 1;
        }
        Bench bench(options.setting, options.report, options.only);
        const bool written = bench.run();
        fmt::print("\n{}", to_markdown(bench.report()));
        if (!written) {
            fmt::print(stderr, "gpu_bench: {}.md and .json could not be written\n", options.report);
            return 1;
        }
        switch (verdict(bench.report())) {
        case Verdict::ok:
            return 0;
        case Verdict::failed:
            return 1;
        case Verdict::skipped:
            break;
        }
        // (The fake lacks what only a GPU has, and nobody takes its report for one's.)
        return options.skips_allowed || bench.report().fake ? 0 : skipped_status;
    } catch (const std::exception& error) {
        (void)std::fprintf(stderr, "gpu_bench: %s\n", error.what());
        return 1;
    }
}
