// SPDX-License-Identifier: MIT
#include <cstdio>
#include <cstdlib>
#include <exception>

#include <fmt/format.h>

#include "config.hpp"
#include "daemon.hpp"
#include "log.hpp"

namespace {

constexpr int usage_failure = 2;

int run(int argc, const char* const* argv) {
    auto parsed = vramswap::parse_config(argc, argv);
    const vramswap::Log log = vramswap::Log::to_standard_error();
    if (!parsed) {
        log.error("vramswapd: {}", parsed.error().message);
        return usage_failure;
    }
    if (const auto* const text = std::get_if<vramswap::Text>(&*parsed)) {
        fmt::print("{}", text->text);
        return EXIT_SUCCESS;
    }
    vramswap::Daemon daemon(std::move(std::get<vramswap::Config>(*parsed)), log);
    const vramswap::Verdict verdict = daemon.run();
    if (verdict.at_once)
        std::_Exit(verdict.status);
    return verdict.status;
}

} // namespace

int main(int argc, char** argv) {
    try {
        return run(argc, argv);
    } catch (const std::exception& error) {
        (void)std::fprintf(stderr, "vramswapd: %s\n", error.what());
    }
    return EXIT_FAILURE;
}
