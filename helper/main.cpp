// SPDX-License-Identifier: MIT
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <optional>

#include <fmt/format.h>

#include "config.hpp"
#include "daemon.hpp"
#include "device_setup.hpp"
#include "keeper.hpp"
#include "log.hpp"
#include "log_writer.hpp"
#include "lowmem.hpp"
#include "process.hpp"
#include "service_manager.hpp"

namespace {

constexpr int usage_failure = 2;

/// The exit status of a helper that cannot start: `hopeless` if it would be in vain to start it again as it is; but
/// while a predecessor's contents wait, whatever is in the way may be mended in time.
int failure(bool contents_wait, int hopeless) {
    return contents_wait ? EXIT_FAILURE : hopeless;
}

/// The worker's process.
int serve(const vramswap::Config& config, vramswap::KeeperLink keeper, const vramswap::Log& log) {
    vramswap::Daemon daemon(config, std::move(keeper), log);
    const vramswap::Verdict verdict = daemon.run();
    if (verdict.at_once)
        std::_Exit(verdict.status);
    return verdict.status;
}

/// This process, which keeps what the worker must not lose.
int keep(const vramswap::Config& config, bool contents_wait, const vramswap::Log& log) {
    auto prepared = vramswap::in_turn(vramswap::process::hold_signals_back, vramswap::process::refuse_core_dumps,
                                      [&] { return vramswap::Daemon::prepare_keeper(config); });
    std::optional<vramswap::lowmem::OwnCgroup> cgroup;
    if (prepared)
        cgroup.emplace(log); // while this process is alone there
    const auto writer = vramswap::LogWriter::start();
    if (!writer)
        log.warning("{}", writer.error().message);
    auto fds = vramswap::ServiceManager::inherited_fds();
    if (prepared && !fds)
        prepared = std::unexpected(fds.error());
    if (prepared && fds->empty())
        prepared = vramswap::device_setup(config, log);
    if (!prepared) {
        log.error("{}", prepared.error().message);
        const bool wrong = prepared.error().code == EINVAL || prepared.error().code == ERANGE;
        return wrong ? failure(contents_wait, vramswap::hopeless_status) : EXIT_FAILURE;
    }
    vramswap::Keeper keeper(std::move(*fds), log);
    const auto status = keeper.run([&](vramswap::KeeperLink link) { return serve(config, std::move(link), log); },
                                   [&] { cgroup->free_again(); });
    if (!status)
        log.error("{}", status.error().message);
    if (!status)
        return EXIT_FAILURE;
    return *status == vramswap::hopeless_status ? failure(contents_wait, *status) : *status;
}

int run(int argc, const char* const* argv) {
    if (!vramswap::process::have_standard_files())
        return EXIT_FAILURE; // and nowhere to say so
    // First of all: where contents wait, what this process allocates must not wait for them. It is checked later.
    (void)vramswap::lowmem::become_io_flusher();
    const bool contents_wait = vramswap::ServiceManager::kept_fds();
    // Nothing in a file, be it a typing error, keeps it from taking contents over.
    auto parsed = vramswap::parse_config(argc, argv, {}, !contents_wait);
    const vramswap::Log log = vramswap::Log::to_standard_error();
    if (!parsed) {
        log.error("vramswapd: {}", parsed.error().message);
        return failure(contents_wait, usage_failure);
    }
    if (const auto* const text = std::get_if<vramswap::Text>(&*parsed)) {
        fmt::print("{}", text->text);
        return EXIT_SUCCESS;
    }
    return keep(std::get<vramswap::Config>(*parsed), contents_wait, log);
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
