// SPDX-License-Identifier: MIT
// Contents that outlive the process that stored them.
#include <algorithm>
#include <cerrno>

#include <unistd.h>

#include <fmt/format.h>

#include "checks.hpp"
#include "children.hpp"
#include "load.hpp"

namespace vramswap::bench {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr std::uint64_t capacity = 192ULL << 20; // three chunks and more
constexpr auto patience = 40s;                   // with any of the processes; the step's own comes later

/// What the first process leaves beside descriptors.
struct Left {
    std::array<char, Engine::max_tuning + 1> tuning{};                    ///< as its engine's
    std::array<std::uint64_t, capacity / VRAMSWAP_BLOCK_SIZE> versions{}; ///< of its model
    bool lacking = false; ///< it has nothing, for this GPU or driver has no such path

    void take(const Model& model) { std::ranges::copy(model.versions(), versions.begin()); }
};

/// The first process's part.
class First {
public:
    /// An engine with VRAM, not yet at work.
    [[nodiscard]] static Result<std::unique_ptr<First>> make(const Setting& setting) {
        auto engine = make_cuda(setting, capacity);
        if (!engine)
            return pass_on(engine);
        auto first = std::make_unique<First>();
        first->engine_ = std::move(*engine);
        return first;
    }

    /// Writes every block once.
    [[nodiscard]] Result<void> store(const Setting& setting, Left& left) {
        auto rig = Rig::make(shape_of(setting, capacity), *engine_, always_look);
        if (!rig)
            return pass_on(rig);
        rig_ = std::move(*rig);
        if (!all_right(fill(*rig_, model_)))
            return fail(EIO, "a write failed");
        engine_->tuning().copy(left.tuning.data(), left.tuning.size() - 1);
        left.take(model_);
        return {};
    }

    /// Gives away what keeps the contents.
    [[nodiscard]] bool hand_over(int socket) const {
        const auto kept = engine_->kept();
        return std::ranges::all_of(kept, [&](const KeptFd& one) { return send_fd(socket, one.name, one.fd); }) &&
               send_fd(socket, "", socket);
    }

private:
    std::unique_ptr<CudaEngine> engine_;
    std::unique_ptr<Rig> rig_;
    Model model_{capacity};
};

void refuse(int socket, const Error& error, Left& left) {
    left.lacking = error.code == ENOTSUP;
    (void)!::write(socket, error.message.data(), error.message.size());
}

void store_and_wait(const Setting& setting, int socket, Left& left) {
    auto first = First::make(setting);
    const auto stored = first ? (*first)->store(setting, left) : pass_on(first);
    if (!stored)
        return refuse(socket, stored.error(), left);
    if (!(*first)->hand_over(socket))
        return;
    for (;;)
        ::pause();
}

/// The next process: takes over as a worker does, and reads everything.
void look_after(const Setting& setting, std::vector<InheritedFd>& fds, const Left& left, int socket) {
    const auto start = Clock::now();
    auto engine = CudaEngine::make(
        {.gpu = setting.gpu, .path = {}, .contents = true, .tuning = left.tuning.data(), .libcuda = setting.libcuda});
    if (!engine)
        return say(socket, Verdict::failed, engine.error().message);
    if (auto adopted = (*engine)->adopt(capacity, fds); !adopted)
        return say(socket, Verdict::failed, adopted.error().message);
    auto rig = Rig::make(shape_of(setting, capacity), **engine, always_look);
    if (!rig)
        return say(socket, Verdict::failed, rig.error().message);
    const auto live = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - start);
    const Model model(left.versions);
    const Outcome outcome = read_all(**rig, model);
    say(socket, all_right(outcome) && outcome.bytes == capacity ? Verdict::ok : Verdict::failed,
        fmt::format("the next process was ready to serve after {} ms and read {} MiB: {} blocks wrong, {} requests "
                    "failed",
                    live.count(), outcome.bytes >> 20, outcome.wrong, outcome.errors));
}

} // namespace

Finding check_killed(const Setting& setting) {
    const std::string name = by_path(setting, "contents outlive a process that is killed");
    const Shared<Left> left;
    Fd socket;
    const pid_t first = in_child(socket, [&](int to) { store_and_wait(setting, to, *left); });
    std::string why;
    auto fds = receive_fds(socket.get(), why);
    end(first);
    if (!why.empty())
        return {.name = name,
                .verdict = left->lacking ? Verdict::skipped : Verdict::failed,
                .text = "the first process could not store anything: " + why};
    const pid_t second = in_child(socket, [&](int to) { look_after(setting, fds, *left, to); });
    const Message message = hear(socket.get(), patience);
    end(second);
    return {.name = name, .verdict = message.verdict, .text = message.text.data()};
}

} // namespace vramswap::bench
