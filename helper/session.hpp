// SPDX-License-Identifier: MIT
#pragma once

#include <memory>
#include <vector>

#include "config.hpp"
#include "engine.hpp"
#include "fd.hpp"
#include "io_loop.hpp"
#include "ring_client.hpp"

namespace vramswap {

/// One attached session with all that serves it: a lane, a loop and a thread for each queue.
///
/// Owns the RingClient, borrows the engine. Destruction joins the threads, then lets go of lanes, staging and device,
/// in this order; it must not happen while finish() says that transfers are still under way.
class Session {
public:
    /// Makes lanes, loops and threads for an attached client. The threads wait.
    [[nodiscard]] static Result<std::unique_ptr<Session>> prepare(std::unique_ptr<RingClient> client, Engine& engine,
                                                                  const Config& config);

    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;
    Session(Session&&) = delete;
    Session& operator=(Session&&) = delete;
    ~Session();

    /// START: the device goes live and the threads serve it.
    [[nodiscard]] Result<void> start();

    /// STOP: the contents are given up. Error EBUSY: the device is in use and served as before.
    [[nodiscard]] Result<void> stop() { return client_->stop(); }

    /// Readable once a thread has ended, that is, once the session has.
    [[nodiscard]] int ended_fd() const noexcept { return shared_.ended.get(); }

    /// Ends and joins the threads and says why the first of them ended. Not drained if any lane kept transfers.
    [[nodiscard]] LoopEnd finish() noexcept;

    /// What a lane that failed has to say; after finish().
    [[nodiscard]] std::string why() const;

    [[nodiscard]] const RingClient& client() const noexcept { return *client_; }

private:
    class Worker;

    enum class Gate : std::uint8_t { closed, open, cancelled };

    /// What threads and owner share.
    struct Shared {
        std::atomic<Gate> gate = Gate::closed;
        std::atomic<bool> asked = false;
        std::atomic<const Worker*> first_ended = nullptr;
        Fd ended; ///< eventfd
    };

    Session(std::unique_ptr<RingClient> client, Engine& engine);

    [[nodiscard]] Result<void> make_workers(const Config& config);
    void open_gate(Gate gate) noexcept;

    std::unique_ptr<RingClient> client_;
    Engine& engine_;
    Shared shared_;
    std::vector<std::unique_ptr<Worker>> workers_;
};

} // namespace vramswap
