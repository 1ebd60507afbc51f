// SPDX-License-Identifier: MIT
#include "session.hpp"

#include <cerrno>
#include <optional>

#include <sched.h>
#include <sys/eventfd.h>

#include "io_thread.hpp"

namespace vramswap {
namespace {

/// CPUs that this process may run on; 1 if that cannot be learnt, which only means no spinning.
unsigned usable_cpus() {
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    if (::sched_getaffinity(0, sizeof cpus, &cpus) != 0)
        return 1;
    return static_cast<unsigned>(CPU_COUNT(&cpus));
}

} // namespace

/// One queue's thread and what it uses. Declared in the order of its making: the thread goes first, the lane last.
class Session::Worker final : public IoThread::Body {
public:
    Worker(Shared& shared, std::unique_ptr<Lane> lane, const IoLoopParts& parts)
        : shared_(shared), lane_(std::move(lane)), loop_(parts) {}

    /// Returns when the lane has begun in the thread.
    Result<void> start(const std::string& name) {
        if (auto started = thread_.start(name, *this); !started)
            return started;
        begun_.wait(false);
        return std::move(beginning_);
    }
    void join() noexcept { thread_.join(); }
    [[nodiscard]] const LoopEnd& end() const noexcept { return end_; }
    [[nodiscard]] std::string why() const { return lane_->why(); }

    void run() noexcept override {
        beginning_ = lane_->begin();
        const bool able = beginning_.has_value(); // it is the owner's from here on
        begun_ = true;
        begun_.notify_one();
        shared_.gate.wait(Gate::closed);
        if (shared_.gate == Gate::open && able)
            end_ = loop_.run(shared_.asked);
        const Worker* none = nullptr;
        shared_.first_ended.compare_exchange_strong(none, this);
        (void)::eventfd_write(shared_.ended.get(), 1);
    }

private:
    Shared& shared_;
    std::unique_ptr<Lane> lane_;
    IoLoop loop_;
    LoopEnd end_;
    Result<void> beginning_;
    std::atomic<bool> begun_ = false;
    IoThread thread_;
};

Session::Session(std::unique_ptr<RingClient> client, Engine& engine) : client_(std::move(client)), engine_(engine) {}

Session::~Session() {
    (void)finish();
    workers_.clear();
    engine_.unbind();
}

Result<std::unique_ptr<Session>> Session::prepare(std::unique_ptr<RingClient> client, Engine& engine,
                                                  const Config& config) {
    std::unique_ptr<Session> session(new Session(std::move(client), engine));
    session->shared_.ended = Fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!session->shared_.ended)
        return fail(errno, "could not make an eventfd: {}", errno_text(errno));
    auto made = in_turn([&] { return engine.bind(session->client_->staging()); },
                        [&] { return session->make_workers(config); });
    if (!made)
        return pass_on(made);
    return session;
}

Result<void> Session::make_workers(const Config& config) {
    const unsigned cpus = usable_cpus();
    for (unsigned queue = 0; queue < client_->queues(); ++queue) {
        auto lane = engine_.lane(queue, client_->slots());
        if (!lane)
            return pass_on(lane);
        const IoLoopParts parts{.queue = queue,
                                .ring = client_->ring(queue),
                                .kernel = *client_,
                                .lane = **lane,
                                .staging = client_->staging(queue),
                                .slots = client_->slots(),
                                .slot_size = client_->slot_size(),
                                .spin = policy::Spin(config.spin, cpus),
                                .cpus = cpus};
        workers_.push_back(std::make_unique<Worker>(shared_, std::move(*lane), parts));
    }
    for (unsigned queue = 0; queue < client_->queues(); ++queue)
        if (auto started = workers_[queue]->start(fmt::format("vramswap-io{}", queue)); !started)
            return started;
    return {};
}

void Session::open_gate(Gate gate) noexcept {
    Gate closed = Gate::closed;
    shared_.gate.compare_exchange_strong(closed, gate);
    shared_.gate.notify_all();
}

Result<void> Session::start() {
    auto started = client_->start();
    if (started)
        open_gate(Gate::open);
    return started;
}

std::string Session::why() const {
    for (const auto& worker : workers_)
        if (auto text = worker->why(); !text.empty())
            return text;
    return {};
}

LoopEnd Session::finish() noexcept {
    shared_.asked = true;
    open_gate(Gate::cancelled);
    for (const auto& worker : workers_)
        worker->join();
    const Worker* const first = shared_.first_ended;
    LoopEnd end = first != nullptr ? first->end() : LoopEnd{};
    for (const auto& worker : workers_)
        end.drained = end.drained && worker->end().drained;
    return end;
}

} // namespace vramswap
