// SPDX-License-Identifier: MIT
#include "neighbour.hpp"

#include <atomic>
#include <cerrno>
#include <thread>

#include <poll.h>

#include <fmt/format.h>

#include "bare.hpp"
#include "children.hpp"
#include "programs.hpp"
#include "rig.hpp"

namespace vramswap::bench {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

/// What we and the neighbour have in common.
struct Pace {
    std::atomic<bool> wanted = true; ///< it is to compute
    std::atomic<bool> rests = false; ///< it does not
    std::atomic<std::uint64_t> turns = 0;
};

/// A process that computes: one launch after the other, each of a millisecond or two.
class Computer {
public:
    [[nodiscard]] static Result<std::unique_ptr<Computer>> make(const Setting& setting) {
        auto bare = BareGpu::make(setting, room);
        if (!bare)
            return pass_on(bare);
        auto programs = Programs::make(setting.libcuda);
        if (!programs && !is_fake(setting.libcuda))
            return pass_on(programs);
        auto stream = CudaStream::make((*bare)->api);
        if (!stream)
            return pass_on(stream);
        std::unique_ptr<Computer> computer(new Computer(std::move(*bare), std::move(*stream)));
        if (programs)
            computer->programs_ = std::move(*programs);
        if (auto fits = computer->choose_rounds(); !fits)
            return pass_on(fits);
        return computer;
    }

    [[nodiscard]] std::string text() const {
        return programs_ ? fmt::format("computes, {} blocks at once", blocks_)
                         : fmt::format("fills {} MiB, for the fake runs no programs", room >> 20);
    }

    /// One launch, to its end.
    [[nodiscard]] Result<void> turn() const {
        const cuda::Address place = bare_->store().address();
        cuda::Code code = programs_ ? programs_->compute(blocks_, rounds_, place)
                                    : bare_->api.MemsetD8Async(place, 0, room, stream_.get());
        if (code == cuda::Code::success)
            code = programs_ ? programs_->wait() : bare_->api.StreamSynchronize(stream_.get());
        if (code != cuda::Code::success)
            return fail(EIO, "the neighbour cannot compute: {}", bare_->api.text(code));
        return {};
    }

private:
    static constexpr std::size_t room = 4ULL << 20;

    Computer(std::unique_ptr<BareGpu> bare, CudaStream stream)
        : bare_(std::move(bare)), stream_(std::move(stream)),
          blocks_(8U * static_cast<unsigned>(
                           cuda_device_attribute(bare_->api, bare_->gpu, cuda::Attribute::multiprocessor_count))) {}

    /// So many that a turn takes a millisecond at least.
    [[nodiscard]] Result<void> choose_rounds() {
        for (rounds_ = 256; programs_ && rounds_ < 1U << 30; rounds_ *= 2) {
            const auto start = Clock::now();
            if (auto done = turn(); !done)
                return done;
            if (Clock::now() - start >= 1ms)
                break;
        }
        return {};
    }

    std::unique_ptr<BareGpu> bare_;
    CudaStream stream_;
    std::unique_ptr<Programs> programs_;
    unsigned blocks_;
    std::uint32_t rounds_ = 0;
};

/// The neighbour's process, until it is killed.
void compute(const Setting& setting, int socket, Pace& pace) {
    const auto computer = Computer::make(setting);
    if (!computer)
        return say(socket, not_ok("", computer.error()).verdict, computer.error().message);
    say(socket, Verdict::ok, (*computer)->text());
    for (;;) {
        pace.rests = !pace.wanted;
        if (pace.rests) {
            std::this_thread::sleep_for(1ms);
            continue;
        }
        if (const auto done = (*computer)->turn(); !done)
            return say(socket, Verdict::failed, done.error().message);
        ++pace.turns;
    }
}

/// The neighbour as we see it.
class Neighbour {
public:
    /// To be made before this process uses CUDA.
    [[nodiscard]] static Result<std::unique_ptr<Neighbour>> make(const Setting& setting) {
        std::unique_ptr<Neighbour> one(new Neighbour);
        one->child_ = in_child(one->socket_, [&](int to) { compute(setting, to, *one->pace_); });
        const Message message = hear(one->socket_.get(), 20s);
        if (message.verdict != Verdict::ok)
            return fail(message.verdict == Verdict::skipped ? ENOTSUP : EIO, "{}", message.text.data());
        one->does_ = message.text.data();
        return one;
    }

    Neighbour(const Neighbour&) = delete;
    Neighbour& operator=(const Neighbour&) = delete;
    Neighbour(Neighbour&&) = delete;
    Neighbour& operator=(Neighbour&&) = delete;
    ~Neighbour() { end(child_); }

    [[nodiscard]] const std::string& does() const { return does_; }

    void pause() {
        pace_->wanted = false;
        for (const auto until = Clock::now() + 5s; !pace_->rests && Clock::now() < until;)
            std::this_thread::sleep_for(1ms);
    }
    void go_on() {
        pace_->wanted = true;
        std::this_thread::sleep_for(20ms);
    }

    /// It has nothing to say as long as it computes.
    [[nodiscard]] Result<void> check() const {
        pollfd poll{.fd = socket_.get(), .events = POLLIN, .revents = 0};
        if (::poll(&poll, 1, 0) == 0)
            return {};
        return fail(EIO, "the neighbour: {}", hear(socket_.get(), 0ms).text.data());
    }

    /// Its turns per second while `work` goes on.
    template<class Work>
    [[nodiscard]] double turns_during(Work work) const {
        const std::uint64_t before = pace_->turns;
        const auto start = Clock::now();
        work();
        return static_cast<double>(pace_->turns - before) / std::chrono::duration<double>(Clock::now() - start).count();
    }

private:
    Neighbour() = default;

    Shared<Pace> pace_;
    Fd socket_;
    pid_t child_ = -1;
    std::string does_;
};

struct Case {
    const char* what;
    Mix mix;
    unsigned depth; ///< of all queues together
    std::uint32_t length;
};

/// One load, without and with the neighbour.
Result<void> measure(const Setting& setting, Engine& engine, Model& model, Neighbour& neighbour, const Case& one,
                     Beside& beside) {
    const unsigned depth = std::max(one.depth / setting.queues, 1U);
    neighbour.pause();
    auto rig = Rig::make(
        {.queues = setting.queues, .slots = std::max(depth, 2U), .slot_size = one.length, .capacity = setting.capacity},
        engine, usual_look);
    if (!rig)
        return pass_on(rig);
    const Load load{.mix = one.mix, .depth = depth, .length = one.length, .time = setting.time};
    Load warm = load;
    warm.time = setting.time / 4;
    const Outcome before = run(**rig, warm, model);
    const Outcome alone = run(**rig, load, model);
    neighbour.go_on();
    beside.turns_idle = neighbour.turns_during([&] { std::this_thread::sleep_for(setting.time); });
    Outcome with;
    beside.turns_loaded = neighbour.turns_during([&] { with = run(**rig, load, model); });
    beside.what = one.what;
    beside.mix = one.mix;
    beside.length = one.length;
    beside.depth = depth * setting.queues;
    beside.ours_alone = alone.per_second();
    beside.ours_beside = with.per_second();
    beside.p99_alone_ns = alone.latency.quantile(0.99);
    beside.p99_beside_ns = with.latency.quantile(0.99);
    beside.right = all_right(before) && all_right(alone) && all_right(with);
    return neighbour.check();
}

} // namespace

Result<std::vector<Beside>> measure_beside(const Setting& setting) {
    auto neighbour = Neighbour::make(setting);
    if (!neighbour)
        return pass_on(neighbour);
    Beside common{.engine = "cuda " + path_text(setting.path), .neighbour = (*neighbour)->does()};
    (*neighbour)->go_on();
    std::this_thread::sleep_for(setting.time / 4); // the GPU's clock gets up to speed
    common.turns_alone = (*neighbour)->turns_during([&] { std::this_thread::sleep_for(setting.time); });
    (*neighbour)->pause();
    auto engine = make_cuda(setting, setting.capacity);
    if (!engine)
        return pass_on(engine);
    Model model(setting.capacity);
    std::vector<Beside> all;
    for (const Case& one : {Case{"random", Mix::read, 512, 4096}, Case{"random", Mix::write, 512, 4096},
                            Case{"large", Mix::read, 8, 1U << 20}, Case{"large", Mix::write, 8, 1U << 20}}) {
        Beside beside = common;
        if (auto measured = measure(setting, **engine, model, **neighbour, one, beside); !measured)
            return pass_on(measured);
        all.push_back(std::move(beside));
    }
    return all;
}

} // namespace vramswap::bench
