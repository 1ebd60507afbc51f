// SPDX-License-Identifier: MIT
// The keeper's workers are processes of their own, killed and started anew: what they stored in the fake GPU must still
// be there, or be known to be lost.
#include "cuda_rig.hpp"

#include <cerrno>
#include <csignal>

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

constexpr std::uint64_t size = 66ULL << 20; // two chunks

/// The first worker: stores, hands over, is live, and is killed in the middle of a transfer, or after its fault.
int store_and_die(KeeperLink& link, const std::string& last_fault) {
    CudaRig rig("", size);
    rig.open();
    for (std::uint64_t offset = 0; offset < size; offset += 8 * cuda_slot)
        if (rig.write(offset, random_bytes(cuda_slot, offset)) != Status::ok)
            return no_start;
    const auto state = SessionState::make();
    bool kept = link.keep(SessionState::kept_name, state->fd()).has_value();
    for (const KeptFd& fd : rig.engine->kept())
        kept = kept && link.keep(fd.name, fd.fd).has_value();
    if (!kept || !link.sync())
        return no_start;
    link.live();
    rig.fake.arm(last_fault);
    std::ranges::copy(random_bytes(cuda_slot, 1), rig.slot(0).begin());
    const Transfer transfer{
        .offset = 4096 * 1024, .staging = rig.slot(0).data(), .length = cuda_slot, .token = 0, .op = Op::write};
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
    for (std::uint64_t offset = 0; offset < size; offset += 8 * cuda_slot)
        if (offset != 4096 * 1024 && rig.read(offset, cuda_slot) != random_bytes(cuda_slot, offset))
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

TEST_CASE("a worker whose GPU goes leaves nothing that a successor would take for contents") {
    const Starts starts;
    REQUIRE(run(starts, "lost_at=1") == all_well);
    REQUIRE(starts.next() == 3); // the second adopted nothing
    const Starts others;
    REQUIRE(run(others, "blank_at=1") == all_well);
    REQUIRE(others.next() == 3);
}
