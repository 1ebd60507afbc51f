// SPDX-License-Identifier: MIT
#include "service_manager.hpp"

#include <chrono>
#include <cstdlib>

#include <systemd/sd-daemon.h>

namespace vramswap {
namespace {

/// How long sync waits: long for a manager that works, short for a user who waits for one that does not.
constexpr std::chrono::microseconds patience = std::chrono::seconds(5);

} // namespace

// NOLINTBEGIN(concurrency-mt-unsafe): before there are threads
ServiceManager::ServiceManager(KeeperLink keeper)
    : keeper_(std::move(keeper)), there_(std::getenv("NOTIFY_SOCKET") != nullptr) {}
// NOLINTEND(concurrency-mt-unsafe)

bool ServiceManager::kept_fds() {
    return ::sd_listen_fds(0) > 0;
}

Result<std::vector<InheritedFd>> ServiceManager::inherited_fds() {
    char** names = nullptr;
    const int count = ::sd_listen_fds_with_names(1, &names);
    if (count < 0)
        return fail(-count, "could not take over the descriptors that the service manager kept: {}",
                    errno_text(-count));
    std::vector<InheritedFd> fds;
    fds.reserve(static_cast<std::size_t>(count));
    for (int i = 0; i < count; ++i) {
        fds.push_back({.name = names[i], .fd = Fd(SD_LISTEN_FDS_START + i)});
        std::free(
            names[i]); // NOLINT(cppcoreguidelines-no-malloc,cppcoreguidelines-owning-memory): sd-daemon's contract
    }
    std::free(
        names); // NOLINT(cppcoreguidelines-no-malloc,cppcoreguidelines-owning-memory,bugprone-multi-level-implicit-pointer-conversion)
    return fds;
}

Result<void> ServiceManager::keep(const std::string& name, int fd) const {
    if (auto kept = keeper_.keep(name, fd); !kept || !there_)
        return kept;
    // FDPOLL=0: a descriptor that reports an error or hangs up is still worth keeping.
    const std::string message = fmt::format("FDSTORE=1\nFDNAME={}\nFDPOLL=0", name);
    if (const int code = ::sd_pid_notify_with_fds(0, 0, message.c_str(), &fd, 1); code < 0)
        return fail(-code, "could not hand {} to the service manager: {}", name, errno_text(-code));
    return {};
}

void ServiceManager::forget(std::string_view name) const {
    keeper_.forget(name);
    notify(fmt::format("FDSTOREREMOVE=1\nFDNAME={}", name));
}

Result<void> ServiceManager::sync() {
    if (auto synced = keeper_.sync(); !synced || !there_)
        return synced;
    if (const int code = ::sd_notify_barrier(0, static_cast<std::uint64_t>(patience.count())); code < 0)
        return fail(-code, "the service manager does not answer: {}", errno_text(-code));
    return {};
}

void ServiceManager::ready(const std::string& status) const {
    keeper_.live();
    notify("READY=1\nSTATUS=" + status);
}

void ServiceManager::status(const std::string& status) const {
    notify("STATUS=" + status);
}

void ServiceManager::stopping(const std::string& status) const {
    notify("STOPPING=1\nSTATUS=" + status);
}

/// Status is a courtesy: if it does not arrive, the device is served all the same.
void ServiceManager::notify(const std::string& message) const {
    if (there_)
        (void)::sd_notify(0, message.c_str());
}

} // namespace vramswap
