// SPDX-License-Identifier: MIT
#include "session_state.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>

#include <unistd.h>

#include "engine.hpp"
#include "memory_file.hpp"
#include "vramswap.h"

namespace vramswap {
namespace {

constexpr std::uint64_t magic = 0x3174737061777276; // "vrwapst1" in memory on little-endian machines
constexpr std::uint32_t version = 3;

/// The record as it lies in the memfd. Read by later versions of this program: a change is a new version.
struct Stored {
    std::uint64_t magic;
    std::uint32_t version;
    std::uint32_t valid;
    std::uint64_t cookie;
    std::uint64_t capacity;
    std::uint32_t device;
    std::uint32_t reserved;      // zero
    std::array<char, 16> engine; // terminated, as all texts here
    std::array<char, VRAMSWAP_LABEL_SIZE> label;
    std::array<char, max_store_path + 1> store;
    std::array<char, Engine::max_tuning + 1> tuning;
};
static_assert(sizeof(Stored) == 1176);
static_assert(offsetof(Stored, engine) == 40 && offsetof(Stored, label) == 56 && offsetof(Stored, store) == 120);

/// Engines as they are written there. Names that older versions do not know, they refuse.
constexpr std::string_view host_name = "host";
constexpr std::string_view cuda_name = "cuda";

template<std::size_t size>
void put(std::array<char, size>& place, std::string_view text) {
    const std::size_t length = text.copy(place.data(), size - 1);
    place.at(length) = '\0';
}

template<std::size_t size>
std::string get(const std::array<char, size>& place) {
    return {place.begin(), std::ranges::find(place, '\0')};
}

} // namespace

Result<SessionState> SessionState::make() {
    auto fd = make_memory_file("vramswap-state", sizeof(Stored));
    if (!fd)
        return pass_on(fd);
    SessionState state(std::move(*fd));
    if (auto written = state.write({}); !written)
        return pass_on(written);
    return state;
}

Result<Record> SessionState::read() const {
    Stored stored{};
    if (::pread(fd_.get(), &stored, sizeof stored, 0) != sizeof stored || stored.magic != magic)
        return fail(EPROTO, "what the service manager kept is no record of vramswapd");
    if (stored.version != version)
        return fail(EPROTO, "the predecessor's record has version {}, this vramswapd knows version {}", stored.version,
                    version);
    const std::string engine = get(stored.engine);
    if (engine != host_name && engine != cuda_name)
        return fail(EPROTO, "the predecessor's engine '{}' is unknown to this vramswapd", engine);
    return Record{.valid = stored.valid != 0,
                  .cookie = stored.cookie,
                  .capacity = stored.capacity,
                  .device = stored.device,
                  .engine = engine == cuda_name ? EngineChoice::cuda : EngineChoice::host,
                  .label = get(stored.label),
                  .store = get(stored.store),
                  .tuning = get(stored.tuning)};
}

Result<void> SessionState::write(const Record& record) {
    Stored stored{};
    stored.magic = magic;
    stored.version = version;
    stored.valid = record.valid ? 1 : 0;
    stored.cookie = record.cookie;
    stored.capacity = record.capacity;
    stored.device = record.device;
    put(stored.engine, record.engine == EngineChoice::cuda ? cuda_name : host_name);
    put(stored.label, record.label);
    put(stored.store, record.store);
    put(stored.tuning, record.tuning);
    if (::pwrite(fd_.get(), &stored, sizeof stored, 0) != sizeof stored)
        return fail(errno, "could not write the record for the successor: {}", errno_text(errno));
    return {};
}

Result<void> SessionState::invalidate() {
    constexpr std::uint32_t no = 0;
    if (::pwrite(fd_.get(), &no, sizeof no, offsetof(Stored, valid)) != sizeof no)
        return fail(errno, "could not withdraw the record for the successor: {}", errno_text(errno));
    return {};
}

} // namespace vramswap
