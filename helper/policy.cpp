// SPDX-License-Identifier: MIT
#include "policy.hpp"

#include <algorithm>
#include <cerrno>

#include "vramswap.h"

namespace vramswap::policy {
namespace {

using std::chrono::microseconds;
using std::chrono::nanoseconds;

/// What falling asleep and waking up costs, roughly; not to be taken for time in which no work was there.
constexpr nanoseconds wake_up_cost = microseconds(50);

/// The shortest look, as a part of the longest; less is not worth reading the clock for.
constexpr int shortest_part = 32;

/// The most that looks in vain may spend in a row, in longest looks: some milliseconds, and no more, when I/O has
/// become rare.
constexpr int most_saved = 16;

/// Looks that met work, of which one is left to the kernel, which knows whether another task wants the processor.
constexpr unsigned asked_every = 16;

/// The longest look before ENTER: a page fault's work after the last one, and not much of another task's time.
constexpr nanoseconds longest_before_enter = microseconds(20);

/// The rule that was configured, or the usual one, which is known to be right.
SizeRule rule_or(const std::optional<SizeRule>& rule, std::string_view usual) {
    return rule ? *rule : SizeRule::parse(usual).value_or(SizeRule::of(0));
}

} // namespace

Result<std::uint64_t> capacity(const Config& config, const MemorySizes& sizes, std::uint64_t vram_free) {
    if (!config.size && !sizes.vram)
        return fail(EINVAL, "a size is missing: without a GPU, --size or the configuration must say how much to store");
    const auto size = rule_or(config.size, default_size).bytes(sizes);
    if (!size)
        return size;
    if (!sizes.vram || (config.size && !config.headroom))
        return capacity_of(*size);
    const auto headroom = rule_or(config.headroom, default_headroom).bytes(sizes);
    if (!headroom)
        return headroom;
    const std::uint64_t room = vram_free - std::min(vram_free, *headroom);
    if (room < VRAMSWAP_MIN_CAPACITY)
        return fail(ENOMEM, "{} of VRAM are free, and a headroom of {} is to stay so: nothing is left to store in",
                    size_text(vram_free), size_text(*headroom));
    return capacity_of(std::min(*size, room));
}

Chunks chunks(std::uint64_t bytes, std::uint64_t granule) noexcept {
    constexpr std::uint64_t usual = 64ULL << 20;
    std::uint64_t size = std::max(usual, granule);
    while ((bytes + size - 1) / size > max_chunks)
        size *= 2;
    const std::uint64_t whole = (bytes - 1) / size; // before the last
    const std::uint64_t rest = bytes - whole * size;
    return {.size = size, .last = (rest + granule - 1) / granule * granule, .count = static_cast<unsigned>(whole) + 1};
}

nanoseconds Spin::before_enter() const noexcept {
    const bool ask_kernel = met_in_a_row_ % asked_every == 0;
    return ask_kernel ? nanoseconds(0) : std::min(budget_, longest_before_enter);
}

void Spin::met_work() noexcept {
    ++met_in_a_row_;
    saved_ = std::min(saved_ + wake_up_cost, limit_ * most_saved);
    budget_ = std::min(limit_, std::max(budget_ * 2, limit_ / shortest_part));
}

void Spin::slept(nanoseconds gap) noexcept {
    met_in_a_row_ = 0;
    if (budget_ < limit_ && gap - wake_up_cost <= limit_) {
        budget_ = limit_;
        return;
    }
    if (saved_ >= budget_) {
        saved_ -= budget_;
        return;
    }
    budget_ /= 2;
    if (budget_ < limit_ / shortest_part)
        budget_ = nanoseconds(0);
}

PollDelay poll_delay(unsigned fruitless, unsigned cpus) noexcept {
    // With one CPU a host-side engine needs ours: give it up almost at once.
    const unsigned impatient = cpus > 1 ? 1000 : 16; // about 50 µs of single pauses
    const unsigned patient = cpus > 1 ? 2000 : 16;   // then about 1 ms of longer ones
    const unsigned slow = patient + 1000;            // then 50 ms of short sleeps
    if (fruitless < impatient)
        return {.pauses = 1};
    if (fruitless < patient)
        return {.pauses = 20};
    const auto sleep = fruitless < slow ? microseconds(50) : microseconds(1000);
    return {.sleep = sleep, .ask_session = fruitless % 128 == 0};
}

bool passing(const Error& error) noexcept {
    return error.code == EBUSY || error.code == ENOMEM || error.code == EAGAIN;
}

StartDecision start(const Config& wanted, const Inheritance& left) {
    if (!left.record_found)
        return {Start::fresh, ""};
    if (!left.record_read)
        return {Start::refuse, "contents may be held that this vramswapd cannot take over: start the version that made "
                               "them, or have the service manager let them go (systemctl clean --what=fdstore UNIT)"};
    if (!left.record_valid)
        return {Start::fresh, "what the service manager kept vouches for no contents; beginning anew"};
    if (wanted.device != left.device)
        return {Start::refuse, fmt::format("contents of vramswap{} are held, but --device says {}; start with the "
                                           "former, or give the contents up",
                                           left.device, wanted.device)};
    if (wanted.engine != EngineChoice::automatic && wanted.engine != left.engine)
        return {
            Start::refuse,
            fmt::format("contents are held by the engine {}, but another is asked for (--engine, --gpu or --store); "
                        "start with that one, or give the contents up",
                        left.engine == EngineChoice::cuda ? "cuda" : "host")};
    if (left.engine == EngineChoice::host && wanted.store != left.store)
        return {Start::refuse,
                fmt::format("contents are held in {}, but --store says {}; start with the former, or give the contents "
                            "up",
                            left.store.empty() ? "a memfd" : left.store,
                            wanted.store.empty() ? "nothing (a memfd)" : wanted.store)};
    const bool by_path = left.engine == EngineChoice::host && !left.store.empty();
    if (!by_path && !left.memory_found)
        return {Start::fresh, "the service manager did not keep the memory of the predecessor; beginning anew"};
    return {Start::resume, ""};
}

After after_session(EndCause cause, int code) noexcept {
    if (cause == EndCause::asked)
        return After::leave;
    if (cause != EndCause::kernel)
        return After::leave_failed;
    switch (code) {
    case ESHUTDOWN: // stopped
    case ENODEV:    // the device was deleted
        return After::leave;
    case ETIMEDOUT: // we were silent, suspended perhaps; nothing here has changed
        return After::attach_again;
    default:
        return After::leave_failed;
    }
}

} // namespace vramswap::policy
