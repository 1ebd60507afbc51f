// SPDX-License-Identifier: MIT
// The keeper's workers are processes of their own, killed and started anew: what they stored in the fake GPU must still
// be there, or be known to be lost.
#include "cuda_rig.hpp"

#include <csignal>
#include <cstring>

#include <sys/mman.h>
#include <unistd.h>

#include <helper/keeper.hpp>
#include <helper/session_state.hpp>

using namespace vramswap;
using namespace vramswap::test;

namespace {

// What workers end with; 0 would end the keeper as an orderly stop does.
constexpr int all_well = 0;
constexpr int not_adopted = 3;
constexpr int wrong_bytes = 4;
constexpr int no_start = 5;

/// A number that all workers share.
class Starts {
public:
    Starts()
        : count_(static_cast<int*>(
              ::mmap(nullptr, sizeof(int), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0))) {}
    [[nodiscard]] int next() const { return ++*count_; }

private:
    int* count_;
};

constexpr std::uint64_t size = 66ULL << 20;        // two chunks
constexpr std::uint64_t last_offset = 4096 * 1024; // of the transfer that is under way at the end
constexpr std::size_t block = 4096;

/// A slot's bytes, no two words of them alike; others in another version.
std::vector<std::byte> pattern(std::uint64_t offset, std::uint64_t version = 0) {
    std::vector<std::byte> bytes(cuda_slot);
    for (std::size_t i = 0; i < bytes.size(); i += sizeof offset) {
        const std::uint64_t word = (offset + i) * 0x9E37'79B9'7F4A'7C15 + version;
        std::memcpy(bytes.data() + i, &word, sizeof word);
    }
    return bytes;
}

/// Are these bytes what was stored there? Of the transfer that was under way, each block is the old or the new one.
bool right(std::uint64_t offset, const std::vector<std::byte>& found) {
    const auto old = pattern(offset);
    if (offset != last_offset)
        return found == old;
    const auto later = pattern(offset, 1);
    for (std::size_t i = 0; i < cuda_slot; i += block)
        if (std::memcmp(&found.at(i), &old.at(i), block) != 0 && std::memcmp(&found.at(i), &later.at(i), block) != 0)
            return false;
    return true;
}

/// As the kernel's I/O timeout does in the end with a worker that does not come back from the driver.
void kill_soon() {
    std::thread([] {
        std::this_thread::sleep_for(std::chrono::milliseconds(200));
        (void)::kill(::getpid(), SIGKILL);
    }).detach();
}

/// The first worker: stores, hands over, is live, and is killed in the middle of a transfer, or after its fault.
int store_and_die(KeeperLink& link, const std::string& last_fault) {
    CudaRig rig("", size);
    rig.open();
    for (std::uint64_t offset = 0; offset < size; offset += cuda_slot)
        if (rig.write(offset, pattern(offset)) != Status::ok)
            return no_start;
    const auto state = SessionState::make();
    bool kept = link.keep(SessionState::kept_name, state->fd()).has_value();
    for (const KeptFd& fd : rig.engine->kept())
        kept = kept && link.keep(fd.name, fd.fd).has_value();
    if (!kept || !link.sync())
        return no_start;
    link.live();
    rig.fake.arm(last_fault);
    std::ranges::copy(pattern(last_offset, 1), rig.slot(0).begin());
    const Transfer transfer{
        .offset = last_offset, .staging = rig.slot(0).data(), .length = cuda_slot, .token = 0, .op = Op::write};
    if (last_fault.starts_with("block"))
        kill_soon();
    if (rig.lane->submit(std::span(&transfer, 1)) != 1)
        return no_start;
    if (!last_fault.starts_with("latency"))
        (void)rig.ended(1); // the fault has struck
    return ::raise(SIGKILL);
}

/// A later worker: adopts, and looks at every byte; then is killed as well, but for the last.
int adopt_and_look(KeeperLink& link, bool last) {
    CudaRig rig("", size);
    auto inherited = link.take_fds();
    if (!rig.engine->adopt(size, inherited))
        return not_adopted;
    rig.bind();
    for (std::uint64_t offset = 0; offset < size; offset += cuda_slot)
        if (const auto found = rig.read(offset, cuda_slot); found.size() != cuda_slot || !right(offset, found))
            return wrong_bytes;
    link.live();
    return last ? all_well : ::raise(SIGKILL);
}

/// A failed REQUIRE ends the worker, not its test: that is the keeper's process's.
int work(const Starts& starts, const std::string& fault, KeeperLink link) {
    const int start = starts.next();
    int result = no_start;
    try {
        result = start == 1 ? store_and_die(link, fault) : adopt_and_look(link, start == 3);
    } catch (...) { // NOLINT(bugprone-empty-catch): Catch2 has said it
    }
    // A worker's failure is tried again for as long as the kernel holds the contents: 0 ends it here.
    return result == not_adopted || start > 3 ? all_well : result;
}

/// What the keeper ends with.
int run(const Starts& starts, const std::string& fault) {
    Keeper keeper({}, Log::to_standard_error());
    const auto status = keeper.run([&](KeeperLink link) { return work(starts, fault, std::move(link)); });
    REQUIRE(status.has_value());
    return *status;
}

} // namespace

TEST_CASE("bytes in VRAM survive workers that are killed") {
    const Starts starts;
    REQUIRE(run(starts, "latency_us=100000") == all_well);
    REQUIRE(starts.next() == 4); // the third looked at every byte and found it right
}

TEST_CASE("bytes in VRAM survive a worker that does not come back from the driver, and is killed") {
    const Starts starts;
    REQUIRE(run(starts, "block=cuStreamWriteValue32") == all_well); // the copy before it is carried out, perhaps
    REQUIRE(starts.next() == 4);
}

TEST_CASE("a worker whose GPU goes leaves nothing that a successor would take for contents") {
    const Starts starts;
    REQUIRE(run(starts, "lost_at=1") == all_well);
    REQUIRE(starts.next() == 3); // the second adopted nothing
    const Starts others;
    REQUIRE(run(others, "blank_at=1") == all_well);
    REQUIRE(others.next() == 3);
}
