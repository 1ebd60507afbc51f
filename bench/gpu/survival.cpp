// SPDX-License-Identifier: MIT
// Contents that outlive the process that stored them.
#include <algorithm>
#include <cerrno>
#include <thread>

#include <unistd.h>

#include <fmt/format.h>

#include "checks.hpp"
#include "children.hpp"
#include "load.hpp"
#include "programs.hpp"

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

    /// Random requests, until all I/O threads have ended, or for so long.
    [[nodiscard]] Outcome work(std::chrono::milliseconds time) {
        return run(*rig_, {.mix = Mix::any, .depth = 16, .length = 64U << 10, .time = time}, model_);
    }

    [[nodiscard]] bool serves(const Setting& setting) const {
        bool any = false;
        for (unsigned queue = 0; queue < setting.queues; ++queue)
            any = any || rig_->serves(queue);
        return any;
    }

    [[nodiscard]] const Model& model() const { return model_; }

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

/// What was done to the context that is current, in the driver's words.
Result<std::string> break_context(const Setting& setting, const Result<std::unique_ptr<Programs>>& programs) {
    if (is_fake(setting.libcuda)) {
        break_fake(setting.libcuda);
        return "the fake's sticky_at";
    }
    if (!programs)
        return std::unexpected(programs.error());
    const cuda::Code code = (*programs)->fault();
    if (code == cuda::Code::success)
        return fail(EIO, "a program of the GPU stored to where nothing is, and the driver says that all is well");
    return "a program of the GPU stored to where nothing is: " + (*programs)->text(code);
}

/// Breaks its own context under load. A request that is answered all the same must have been carried out.
void store_and_break(const Setting& setting, int socket, Left& left) {
    auto first = First::make(setting);
    // Before there is a program that never ends: what loads another could wait for it.
    const auto programs = Programs::make(setting.libcuda);
    const auto stored = first ? (*first)->store(setting, left) : pass_on(first);
    if (!stored)
        return refuse(socket, stored.error(), left);
    if (!(*first)->hand_over(socket))
        return;
    Outcome outcome;
    std::jthread load([&] { outcome = (*first)->work(patience / 2); });
    std::this_thread::sleep_for(50ms);
    const auto how = break_context(setting, programs);
    const auto broken = Clock::now();
    if (!how) {
        say(socket, not_ok("", how.error()).verdict, how.error().message);
        ::_exit(1);
    }
    load.join();
    const auto ended = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - broken);
    left.take((*first)->model());
    const bool noticed = !(*first)->serves(setting);
    say(socket, noticed && outcome.wrong + outcome.errors == 0 ? Verdict::ok : Verdict::failed,
        fmt::format("{}; {}; {} requests answered, {} failed, {} left to the next process; {} blocks wrong", *how,
                    noticed ? fmt::format("the I/O threads ended within {} ms", ended.count())
                            : "the I/O threads did not notice",
                    outcome.latency.count(), outcome.errors, outcome.unanswered, outcome.wrong));
    ::_exit(0); // as the worker: what the broken driver has is not taken apart
}

constexpr std::uint64_t refused = ~0ULL; // in a message: these contents were not taken

/// The next process: takes over as a worker does, and reads everything. `since`: when the first began to end.
void look_after(const Setting& setting, std::vector<InheritedFd>& fds, const Left& left, Clock::time_point since,
                int socket) {
    auto engine = CudaEngine::make(
        {.gpu = setting.gpu, .path = {}, .contents = true, .tuning = left.tuning.data(), .libcuda = setting.libcuda});
    if (!engine)
        return say(socket, Verdict::failed, engine.error().message);
    if (auto adopted = (*engine)->adopt(capacity, fds); !adopted)
        return say(socket, Verdict::failed, adopted.error().message, refused);
    auto rig = Rig::make(shape_of(setting, capacity), **engine, always_look);
    if (!rig)
        return say(socket, Verdict::failed, rig.error().message);
    const auto live = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - since);
    const Model model(left.versions);
    const Outcome outcome = read_all(**rig, model);
    say(socket, all_right(outcome) && outcome.bytes == capacity ? Verdict::ok : Verdict::failed,
        fmt::format(
            "the next process was ready to serve {} ms after the first began to end, and read {} MiB: {} blocks "
            "wrong, {} requests failed",
            live.count(), outcome.bytes >> 20, outcome.wrong, outcome.errors),
        std::max<std::uint64_t>(static_cast<std::uint64_t>(live.count()), 1));
}

/// How the first process ends: by a signal; by itself, and tells how; by a signal, and nobody keeps the GPU open.
enum class End : std::uint8_t { killed, told, killed_unheld };

/// There should have been one.
Finding no_takeover(const std::string& name, std::string why) {
    return {.name = name, .verdict = Verdict::failed, .text = std::move(why), .ready_ms = 0};
}

/// Both processes, the second after the first has ended.
Finding in_succession(const std::string& name, const Setting& setting, End how) {
    const bool killed = how != End::told;
    const Shared<Left> left;
    Fd socket;
    const pid_t first =
        in_child(socket, [&](int to) { (killed ? store_and_wait : store_and_break)(setting, to, *left); });
    std::string why;
    auto fds = receive_fds(socket.get(), why);
    Message told{.verdict = Verdict::ok};
    const bool held = std::erase_if(fds, [&](const InheritedFd& one) {
                          return how == End::killed_unheld && one.name == CudaEngine::gpu_name;
                      }) != 0;
    if (why.empty() && !killed)
        told = hear(socket.get(), patience);
    const auto ending = Clock::now(); // what the driver takes to let go of a dead process is part of a takeover
    if (why.empty() && !killed)
        (void)leave(first, 5s);
    else
        end(first);
    if (!why.empty() && left->lacking)
        return {
            .name = name, .verdict = Verdict::skipped, .text = "the first process could not store anything: " + why};
    if (!why.empty())
        return no_takeover(name, "the first process could not store anything: " + why);
    if (how == End::killed_unheld && !held)
        return {.name = name, .verdict = Verdict::skipped, .text = "this driver has no /dev/nvidiaN to be held"};
    if (told.verdict == Verdict::failed)
        return no_takeover(name, told.text.data());
    if (told.verdict != Verdict::ok)
        return {.name = name, .verdict = told.verdict, .text = told.text.data()};
    const pid_t second = in_child(socket, [&](int to) { look_after(setting, fds, *left, ending, to); });
    const Message message = hear(socket.get(), patience);
    end(second);
    if (how == End::killed_unheld && message.figure == refused)
        return {.name = name, .text = fmt::format("lost, and refused by the next process: {}", message.text.data())};
    const std::string before = killed ? "" : fmt::format("{}; ", told.text.data());
    return {.name = name,
            .verdict = message.verdict,
            .text = before + message.text.data(),
            .ready_ms = message.figure == refused ? 0 : message.figure};
}

} // namespace

Finding check_killed(const Setting& setting) {
    return in_succession(by_path(setting, "contents outlive a process that is killed"), setting, End::killed);
}

Finding check_killed_unheld(const Setting& setting) {
    return in_succession(by_path(setting, "contents of a killed process, with the GPU not held open"), setting,
                         End::killed_unheld);
}

Finding check_broken(const Setting& setting) {
    return in_succession(by_path(setting, "contents outlive a context that breaks"), setting, End::told);
}

} // namespace vramswap::bench
