// SPDX-License-Identifier: MIT
#include "ring_scenarios.hpp"
#include "ring_world.hpp"

#include <helper/ring.hpp>

#include <algorithm>
#include <cstring>
#include <deque>
#include <span>
#include <utility>

namespace vramswap::test {

namespace {

constexpr std::uint32_t block_size = VRAMSWAP_BLOCK_SIZE;
constexpr int untouched = 0xa5;

// A block's contents follow from its number and its version; version 0 is zeroes. The random part is made once: drawing
// every byte afresh would take the sanitizers' builds all their time.
class Patterns {
public:
    Patterns() {
        Random random(1);
        for (std::byte& byte : pool_)
            byte = static_cast<std::byte>(random.next());
        untouched_.fill(std::byte{untouched});
    }

    void write(std::byte* page, std::uint64_t block, std::uint64_t version) const {
        const Name name{block, version};
        std::memcpy(page, name.data(), sizeof name);
        std::memcpy(page + sizeof name, random_part(name), block_size - sizeof name);
    }
    [[nodiscard]] bool match(const std::byte* page, std::uint64_t block, std::uint64_t version) const {
        if (version == 0)
            return std::memcmp(page, zeroes_.data(), block_size) == 0;
        const Name name{block, version};
        return std::memcmp(page, name.data(), sizeof name) == 0 &&
               std::memcmp(page + sizeof name, random_part(name), block_size - sizeof name) == 0;
    }
    [[nodiscard]] bool is_untouched(const std::byte* page) const {
        return std::memcmp(page, untouched_.data(), block_size) == 0;
    }

private:
    using Name = std::array<std::uint64_t, 2>;
    static constexpr std::size_t pool_size = 1U << 16U;

    [[nodiscard]] const std::byte* random_part(const Name& name) const {
        return pool_.data() + Random((name[0] << 40U) ^ name[1]).below(pool_size);
    }

    std::array<std::byte, pool_size + block_size> pool_{};
    std::array<std::byte, block_size> untouched_{};
    std::array<std::byte, block_size> zeroes_{};
};

const Patterns& patterns() {
    static const Patterns made;
    return made;
}

// Plays the kernel's callers: a share of the device's blocks, a model of them, and a fixed number of requests.
class Submitter {
public:
    Submitter(World& world, const Traffic& traffic, unsigned index)
        : world_(&world), budget_(traffic.operations, traffic.longest), random_(traffic.seed * 1000 + index),
          first_block_(world.shape.capacity / block_size / traffic.submitters * index),
          blocks_(world.shape.capacity / block_size / traffic.submitters), flights_(traffic.depth) {
        for (Flight& flight : flights_) {
            flight.data.resize(world.shape.slot_size);
            flight.submitter = this;
        }
    }

    void run();

private:
    struct Block {
        std::uint64_t version = 0;
        bool busy = false;
    };
    struct Flight {
        Request request;
        std::vector<std::byte> data;
        std::uint64_t first = 0; // in blocks_
        std::uint64_t count = 0;
        std::uint64_t version = 0;
        unsigned status = 0;
        bool out = false;
        std::atomic<bool> ended = false; // released by the end of the request, as the block layer does for its waiters
        Submitter* submitter = nullptr;
    };

    static void end(Request& request, unsigned tag, unsigned status);
    bool launch(Flight& flight);
    void land(Flight& flight);
    void fill(Flight& flight, std::uint8_t opcode) const;
    void check_read(const Flight& flight);
    std::uint8_t choose_opcode();
    bool choose_blocks(Flight& flight, std::uint64_t most);

    World* world_;
    Budget budget_;
    Random random_;
    std::uint64_t first_block_;
    std::vector<Block> blocks_;
    std::deque<Flight> flights_;
    std::uint64_t version_ = 0;
};

void Submitter::end(Request& request, unsigned tag, unsigned status) {
    auto& flight = *static_cast<Flight*>(request.context);
    World& world = *flight.submitter->world_;

    world.owners.expect_kernels(tag);
    if (flight.ended.load(std::memory_order_relaxed))
        world.verdict.fail("a request ended twice");
    flight.status = status;
    world.moved();
    flight.ended.store(true, std::memory_order_release);
}

std::uint8_t Submitter::choose_opcode() {
    if (random_.one_in(16))
        return VRAMSWAP_OP_WRITE_ZEROES;
    return random_.one_in(2) ? VRAMSWAP_OP_READ : VRAMSWAP_OP_WRITE;
}

bool Submitter::choose_blocks(Flight& flight, std::uint64_t most) {
    flight.count = 1 + random_.below(std::min<std::uint64_t>(most, blocks_.size()));
    flight.first = random_.below(blocks_.size() - flight.count + 1);
    const auto chosen = std::span(blocks_).subspan(flight.first, flight.count);
    if (std::ranges::any_of(chosen, &Block::busy))
        return false;
    for (Block& block : chosen)
        block.busy = true;
    return true;
}

void Submitter::fill(Flight& flight, std::uint8_t opcode) const {
    if (opcode == VRAMSWAP_OP_WRITE_ZEROES)
        return;
    if (opcode != VRAMSWAP_OP_WRITE) {
        std::memset(flight.data.data(), untouched, flight.count * block_size);
        return;
    }
    for (std::uint64_t i = 0; i < flight.count; ++i) {
        patterns().write(flight.data.data() + i * block_size, first_block_ + flight.first + i, flight.version);
    }
}

// False if there was no tag or the blocks were busy.
bool Submitter::launch(Flight& flight) {
    const std::uint8_t opcode = choose_opcode();
    const std::uint64_t most = flight.data.size() / block_size;

    if (!choose_blocks(flight, opcode == VRAMSWAP_OP_WRITE_ZEROES ? 2 * most : most))
        return false;
    const auto tag = world_->queue().take_tag();
    if (!tag) {
        for (Block& block : std::span(blocks_).subspan(flight.first, flight.count))
            block.busy = false;
        return false;
    }

    flight.version = opcode == VRAMSWAP_OP_WRITE ? ++version_ : 0;
    fill(flight, opcode);
    flight.out = true;
    flight.ended.store(false, std::memory_order_relaxed);
    flight.request = {.offset = (first_block_ + flight.first) * block_size,
                      .length = static_cast<std::uint32_t>(flight.count * block_size),
                      .opcode = opcode,
                      .data = flight.data.data(),
                      .end = &Submitter::end,
                      .context = &flight};
    world_->owners.kernel_gives(*tag);
    world_->queue().send(*tag, flight.request);
    return true;
}

void Submitter::check_read(const Flight& flight) {
    for (std::uint64_t i = 0; i < flight.count; ++i) {
        const std::byte* const found = flight.data.data() + i * block_size;
        if (flight.status == VRAMSWAP_STATUS_OK) {
            if (!patterns().match(found, first_block_ + flight.first + i, blocks_[flight.first + i].version))
                world_->verdict.fail("a read returned other bytes than were last written");
        } else if (!patterns().is_untouched(found)) {
            world_->verdict.fail("a failed read changed the reader's memory");
        }
    }
}

void Submitter::land(Flight& flight) {
    if (flight.request.opcode == VRAMSWAP_OP_READ)
        check_read(flight);
    for (Block& block : std::span(blocks_).subspan(flight.first, flight.count)) {
        block.busy = false;
        if (flight.request.opcode != VRAMSWAP_OP_READ && flight.status == VRAMSWAP_STATUS_OK)
            block.version = flight.version;
    }
    flight.out = false;
}

void Submitter::run() {
    std::uint64_t started = 0;
    std::uint64_t out = 0;
    bool spent = false;
    Backoff backoff;

    while (world_->goes_on() && (!spent || out != 0)) {
        bool sent = false;
        for (Flight& flight : flights_) {
            if (flight.out && flight.ended.load(std::memory_order_acquire)) {
                land(flight);
                --out;
            }
            if (!flight.out && !spent && launch(flight)) {
                sent = true;
                spent = budget_.spent(++started);
                ++out;
            }
            if (sent && random_.one_in(4))
                world_->queue().doorbell();
        }
        if (sent) {
            world_->queue().doorbell();
            backoff = Backoff();
        } else {
            backoff.wait();
        }
    }
}

// Plays the helper: its own end of the ring (helper/ring.hpp), a store in plain memory, a will to dawdle.
class Server {
public:
    Server(World& world, const Traffic& traffic)
        : world_(&world), reaper_(traffic.reaper), ring_(world.sq(), world.cq(), world.kernel.attach().ring_entries),
          random_(~traffic.seed), store_(world.shape.capacity),
          generations_(world.shape.slots, world.shape.first_generation) {
        // The ring's counters start at zero; these two bring them to where this session's start.
        ring_.release(world.shape.first_index);
        ring_.submit(world.shape.first_index);
        pending_.reserve(world.shape.slots);
    }

    void run();

private:
    void check(const vramswap_sqe& sqe);
    vramswap_cqe serve(const vramswap_sqe& sqe);
    void take_all();
    void answer_some();

    World* world_;
    bool reaper_;
    Ring ring_;
    Random random_;
    std::vector<std::byte> store_;
    std::vector<std::uint32_t> generations_; // of each slot, as the last SQE said
    std::vector<vramswap_sqe> pending_;
};

void Server::check(const vramswap_sqe& sqe) {
    const bool zeroes = sqe.opcode == VRAMSWAP_OP_WRITE_ZEROES;

    if (sqe.slot >= world_->shape.slots || sqe.opcode < VRAMSWAP_OP_READ || sqe.opcode > VRAMSWAP_OP_WRITE_ZEROES ||
        sqe.length == 0 || sqe.offset % block_size != 0 || sqe.length % block_size != 0 ||
        (!zeroes && sqe.length > world_->shape.slot_size) || sqe.offset + sqe.length > store_.size() ||
        sqe.reserved0 != 0 || sqe.reserved1 != 0 || sqe.reserved2 != 0)
        return world_->verdict.fail("an SQE asks for what cannot be");
    world_->owners.expect_helpers(sqe.slot);
    std::uint32_t& generation = generations_[sqe.slot];
    generation = (generation + 1) & VS_SLOT_GENERATION;
    if (sqe.generation != generation)
        world_->verdict.fail("a slot came with another generation than its next");
}

void Server::take_all() {
    const std::uint32_t count = ring_.peek();

    for (std::uint32_t n = 0; n < count; ++n) {
        pending_.push_back(ring_.read(n));
        check(pending_.back());
    }
    ring_.release(count);
}

vramswap_cqe Server::serve(const vramswap_sqe& sqe) {
    std::byte* const stored = store_.data() + sqe.offset;
    std::byte* const slot = world_->staging(sqe.slot);
    std::uint16_t status = VRAMSWAP_STATUS_OK;

    if (random_.one_in(32)) {
        status = random_.one_in(2) ? VRAMSWAP_STATUS_IO_ERROR : VRAMSWAP_STATUS_DATA_LOST;
        if (sqe.opcode == VRAMSWAP_OP_READ)
            std::memset(slot, 0x5a, sqe.length);
    } else if (sqe.opcode == VRAMSWAP_OP_READ) {
        std::memcpy(slot, stored, sqe.length);
    } else if (sqe.opcode == VRAMSWAP_OP_WRITE) {
        std::memcpy(stored, slot, sqe.length);
        std::memset(slot, 0xee, sqe.length); // ours still: who copies from it too late gets nonsense
    } else {
        std::memset(stored, 0, sqe.length);
    }
    return {.slot = sqe.slot, .status = status, .generation = sqe.generation};
}

void Server::answer_some() {
    const auto count = static_cast<std::uint32_t>(random_.below(pending_.size() + 1));
    const std::uint32_t first = ring_.reserve(count);

    for (std::uint32_t n = 0; n < count; ++n) {
        std::swap(pending_[random_.below(pending_.size())], pending_.back());
        const vramswap_cqe cqe = serve(pending_.back());
        world_->owners.helper_gives(cqe.slot);
        ring_.write(first + n, cqe);
        pending_.pop_back();
    }
    ring_.submit(count);
}

void Server::run() {
    while (world_->verdict.ok()) {
        take_all();
        if (!world_->verdict.ok())
            break;
        answer_some();
        // A reaper that always came after the helper's own ENTER would be ordered by their lock, not by the ring.
        if (reaper_ && !pending_.empty() && !random_.one_in(64))
            continue;
        const int result = world_->queue().enter(pending_.empty() ? VRAMSWAP_ENTER_WAIT : 0, ring_.head());
        if (result == -ESHUTDOWN)
            break;
        if (result < 0)
            world_->verdict.fail("ENTER refused what the helper sent");
    }
}

void reap_alongside(World& world) {
    Backoff backoff;
    while (world.goes_on()) {
        const int taken = world.queue().reap();
        if (taken < 0)
            world.verdict.fail("a reaper besides the helper found the ring broken");
        if (taken > 0)
            backoff = Backoff();
        else
            backoff.wait();
    }
}

} // namespace

std::string traffic(const Traffic& traffic) {
    World world(traffic.shape);
    Server server(world, traffic);
    std::deque<Submitter> submitters;
    std::vector<std::function<void()>> submitting;
    std::vector<std::function<void()>> serving{[&server] { server.run(); }};

    for (unsigned i = 0; i < traffic.submitters; ++i) {
        Submitter& submitter = submitters.emplace_back(world, traffic, i);
        submitting.emplace_back([&submitter] { submitter.run(); });
    }
    if (traffic.reaper)
        serving.emplace_back([&world] { reap_alongside(world); });
    world.run(submitting, serving, traffic.patience);

    const Counters counters = world.queue().counters();
    if (counters.wakes > counters.sleeps)
        world.verdict.fail("more wake-ups than sleeps");
    if (world.verdict.ok() && (counters.submitted == 0 || counters.reaped != counters.submitted))
        world.verdict.fail("the counters do not add up");
    return world.verdict.why();
}

} // namespace vramswap::test
