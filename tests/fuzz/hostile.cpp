// SPDX-License-Identifier: MIT
#include "hostile.hpp"

#include "target.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

namespace fuzz {
namespace {

constexpr std::uint64_t usual_capacity = std::uint64_t{VRAMSWAP_BLOCK_SIZE} * 4096;

std::uint64_t word_of(const vramswap_cqe& cqe) {
    std::uint64_t word = 0;
    std::memcpy(&word, &cqe, sizeof word);
    return word;
}

/// One thread of a hostile helper.
class Hand {
public:
    Hand(Target& target, std::uint64_t seed, Counts& counts)
        : target_(target), dice_(seed), counts_(counts), own_word_(marked(helper_mark, counts.epoch)) {}

    /// Attaches, with or without a fault in the arguments. The epoch's only hand does it.
    void settle() {
        if (dice_.one_in(4))
            ioctls();
        attach(dice_.one_in(3) ? counts_.cookie.load() : 0);
        if (!target_.mapped() && !dice_.one_in(4))
            attach(0);
        if (target_.mapped() && !dice_.one_in(8))
            (void)start();
    }

    /// False when there is no more to be had from this session.
    [[nodiscard]] bool goes_on() { return !target_.ended || !dice_.one_in(64); }

    void act() {
        ++counts_.operations;
        const std::uint64_t die = dice_.below(64);
        if (!target_.mapped())
            die < 8 ? settle() : foreign();
        else if (die < 40)
            serve();
        else if (die < 50)
            ring();
        else if (die < 56)
            scribble();
        else
            foreign();
    }

private:
    // ---- the session's life ----

    void attach(std::uint64_t cookie) {
        vramswap_attach args{};
        args.abi_version = VRAMSWAP_ABI_VERSION;
        args.capacity = cookie != 0 ? counts_.capacity.load() : usual_capacity * (1 + dice_.below(3));
        args.cookie = cookie;
        if (::ioctl(target_.fd, VRAMSWAP_IOC_ATTACH, &args) != 0)
            return;
        target_.shape = args;
        counts_.cookie = args.cookie;
        counts_.capacity = args.capacity;
        map_all();
    }

    void map_all() {
        const auto& shape = target_.shape;
        target_.sq = map(shape.sq, PROT_READ);
        target_.cq = map(shape.cq, PROT_READ | PROT_WRITE);
        target_.map = map(shape.map, PROT_READ);
        const Area staging = map(shape.staging, PROT_READ | PROT_WRITE);
        if (target_.sq.address == nullptr || target_.cq.address == nullptr || staging.address == nullptr)
            return;
        // From here on no word of it is anybody's but ours.
        std::fill_n(reinterpret_cast<std::uint64_t*>(staging.address), staging.size / sizeof(own_word_), own_word_);
        target_.staging = staging;
    }

    [[nodiscard]] Area map(const vramswap_region& region, int protection) const {
        void* const address =
            ::mmap(nullptr, region.size, protection, MAP_SHARED, target_.fd, static_cast<off_t>(region.offset));
        if (address == MAP_FAILED)
            return {};
        return {.address = static_cast<std::byte*>(address), .size = region.size};
    }

    [[nodiscard]] bool start() const {
        if (::ioctl(target_.fd, VRAMSWAP_IOC_START) != 0)
            return false;
        ++counts_.sessions;
        return true;
    }

    void enter(unsigned queue, std::uint32_t flags, std::uint32_t head) const {
        vramswap_enter args{};
        args.queue = queue;
        args.flags = flags;
        args.sq_head = head;
        if (::ioctl(target_.fd, VRAMSWAP_IOC_ENTER, &args) >= 0)
            return;
        const bool over = errno == EBADMSG || errno == ETIMEDOUT || errno == ESTALE || errno == ESHUTDOWN;
        if (errno == EBADMSG && !target_.ended)
            ++counts_.broken;
        target_.ended = target_.ended || over;
    }

    // ---- as a sound helper would, so that requests go round ----

    unsigned queue() { return static_cast<unsigned>(dice_.below(target_.shape.queues)); }

    void serve() {
        const unsigned queue = this->queue();
        std::uint32_t head = target_.heads[queue];
        const std::uint32_t tail = __atomic_load_n(&target_.sq_of(queue).tail, __ATOMIC_ACQUIRE);
        if (head == tail || !target_.heads[queue].compare_exchange_strong(head, head + 1)) {
            enter(queue, dice_.one_in(4) ? VRAMSWAP_ENTER_WAIT : 0, head);
            return;
        }
        const auto* const sqes = reinterpret_cast<const vramswap_sqe*>(&target_.sq_of(queue) + 1);
        const vramswap_sqe sqe = sqes[head % target_.shape.ring_entries];
        check(sqe);
        if (sqe.opcode == VRAMSWAP_OP_READ && dice_.one_in(2))
            fill_slot(queue, sqe.slot, sqe.length);
        std::uint16_t status = VRAMSWAP_STATUS_OK;
        if (dice_.one_in(8))
            status = static_cast<std::uint16_t>(1 + dice_.below(2));
        put(queue, {.slot = sqe.slot, .status = status, .generation = sqe.generation});
        ++counts_.answered;
        if (!dice_.one_in(4))
            enter(queue, 0, head + 1);
    }

    /// The kernel's side of the contract.
    void check(const vramswap_sqe& sqe) const {
        const bool zeroes = sqe.opcode == VRAMSWAP_OP_WRITE_ZEROES;
        const std::uint64_t most = zeroes ? VRAMSWAP_MAX_ZEROES_BYTES : target_.shape.slot_size;
        if (sqe.slot >= target_.shape.slots || sqe.opcode < VRAMSWAP_OP_READ || sqe.opcode > VRAMSWAP_OP_WRITE_ZEROES ||
            sqe.length == 0 || sqe.length > most || sqe.length % VRAMSWAP_BLOCK_SIZE != 0 ||
            sqe.offset % VRAMSWAP_BLOCK_SIZE != 0 || sqe.offset > target_.shape.capacity ||
            sqe.length > target_.shape.capacity - sqe.offset)
            violation(counts_, "an SQE of slot {} opcode {} offset {} length {}", sqe.slot, sqe.opcode, sqe.offset,
                      sqe.length);
    }

    void fill_slot(unsigned queue, unsigned slot, std::size_t length) {
        const std::size_t at = (std::size_t{queue} * target_.shape.slots + slot) * target_.shape.slot_size;
        if (at + length <= target_.staging.size)
            std::fill_n(reinterpret_cast<std::uint64_t*>(target_.staging.address + at), length / sizeof(own_word_),
                        own_word_);
    }

    /// Threads race for the tail on purpose.
    void put(unsigned queue, const vramswap_cqe& cqe) {
        vramswap_cq& cq = target_.cq_of(queue);
        const std::uint32_t tail = __atomic_load_n(&cq.tail, __ATOMIC_RELAXED);
        __atomic_store_n(target_.cqe(queue, tail), word_of(cqe), __ATOMIC_RELAXED);
        __atomic_store_n(&cq.tail, tail + 1, __ATOMIC_RELEASE);
    }

    // ---- lies in the ring ----

    void ring() {
        const unsigned queue = this->queue();
        vramswap_cq& cq = target_.cq_of(queue);
        const std::uint32_t tail = __atomic_load_n(&cq.tail, __ATOMIC_RELAXED);
        const auto slot = static_cast<std::uint16_t>(dice_.below(target_.shape.slots + 2));
        switch (dice_.below(8)) {
        case 0: // a CQE of anything
            __atomic_store_n(target_.cqe(queue, tail + static_cast<std::uint32_t>(dice_.below(3))), dice_.word(),
                             __ATOMIC_RELAXED);
            break;
        case 1: // a guess at what is out
            put(queue, {.slot = slot, .status = 0, .generation = static_cast<std::uint32_t>(dice_.below(64))});
            break;
        case 2: // the last one again
            put(queue, {.slot = slot, .status = 0, .generation = last_generation(queue)});
            break;
        case 3:
            put(queue, {.slot = static_cast<std::uint16_t>(dice_.edgy()),
                        .status = static_cast<std::uint16_t>(dice_.edgy()),
                        .generation = last_generation(queue)});
            break;
        case 4:
            if (dice_.one_in(16))
                __atomic_store_n(&cq.tail, static_cast<std::uint32_t>(dice_.edgy()), __ATOMIC_RELEASE);
            break;
        case 5:
            if (dice_.one_in(16))
                __atomic_store_n(&cq.tail,
                                 tail + target_.shape.ring_entries + static_cast<std::uint32_t>(dice_.below(3)),
                                 __ATOMIC_RELEASE);
            break;
        case 6: // back in time
            if (dice_.one_in(16))
                __atomic_store_n(&cq.tail, tail - 1, __ATOMIC_RELEASE);
            break;
        default:
            enter(queue, static_cast<std::uint32_t>(dice_.below(2)), static_cast<std::uint32_t>(dice_.edgy()));
            break;
        }
    }

    std::uint32_t last_generation(unsigned queue) {
        const auto* const sqes = reinterpret_cast<const vramswap_sqe*>(&target_.sq_of(queue) + 1);
        const std::uint32_t head = target_.heads[queue];
        return sqes[(head - 1 - static_cast<std::uint32_t>(dice_.below(2))) % target_.shape.ring_entries].generation;
    }

    // ---- memory ----

    void scribble() {
        const unsigned queue = this->queue();
        switch (dice_.below(4)) {
        case 0: // staging, perhaps while the kernel copies
            fill_slot(queue, static_cast<unsigned>(dice_.below(target_.shape.slots)), target_.shape.slot_size);
            break;
        case 1: // the CQ's reserved words and entries
            reinterpret_cast<std::uint32_t*>(&target_.cq_of(queue))[1 + dice_.below(15)] =
                static_cast<std::uint32_t>(dice_.word());
            break;
        case 2:
            __atomic_store_n(target_.cqe(queue, static_cast<std::uint32_t>(dice_.word())), dice_.word(),
                             __ATOMIC_RELAXED);
            break;
        default: // what is not ours to write
            forbidden();
            break;
        }
    }

    /// Neither by mprotect nor through another process's memory interface may SQ and map be written.
    void forbidden() {
        const Area& area = dice_.one_in(2) ? target_.sq : target_.map;
        if (area.address == nullptr)
            return;
        if (::mprotect(area.address, area.size, PROT_READ | PROT_WRITE) == 0)
            violation(counts_, "a read-only area was made writable");
        if (::mprotect(target_.cq.address, target_.cq.size, PROT_READ | PROT_EXEC) == 0)
            violation(counts_, "the CQ was made executable");
        std::array<int, 2> pipe{};
        if (::pipe2(pipe.data(), O_CLOEXEC | O_NONBLOCK) != 0)
            return;
        if (::write(pipe[1], &own_word_, sizeof own_word_) == sizeof own_word_ &&
            ::read(pipe[0], area.address, sizeof own_word_) > 0)
            violation(counts_, "the kernel wrote for us to a read-only area");
        (void)::close(pipe[0]);
        (void)::close(pipe[1]);
    }

    // ---- system calls with anything ----

    void foreign() {
        switch (dice_.below(8)) {
        case 0:
        case 1:
        case 2:
            ioctls();
            break;
        case 3:
            mappings();
            break;
        case 4:
            advise();
            break;
        case 5:
            files();
            break;
        default:
            if (dice_.one_in(64))
                child();
            break;
        }
    }

    void ioctls() {
        switch (dice_.below(6)) {
        case 0: {
            vramswap_attach args{};
            args.abi_version = dice_.one_in(4) ? static_cast<std::uint32_t>(dice_.edgy()) : VRAMSWAP_ABI_VERSION;
            args.capacity = dice_.one_in(2) ? dice_.edgy() : usual_capacity;
            args.flags = dice_.one_in(4) ? static_cast<std::uint32_t>(dice_.edgy()) : 0;
            args.cookie = dice_.one_in(2) ? dice_.edgy() : 0;
            // A session that this made without our filling its staging must not go live: it is stopped at once.
            if (!target_.mapped() && ::ioctl(target_.fd, VRAMSWAP_IOC_ATTACH, &args) == 0)
                (void)::ioctl(target_.fd, VRAMSWAP_IOC_STOP);
            break;
        }
        case 1: {
            vramswap_enter args{};
            args.queue = static_cast<std::uint32_t>(dice_.edgy());
            args.flags = static_cast<std::uint32_t>(dice_.edgy());
            args.sq_head = static_cast<std::uint32_t>(dice_.edgy());
            args.reserved0 = static_cast<std::uint32_t>(dice_.below(2));
            (void)::ioctl(target_.fd, VRAMSWAP_IOC_ENTER, &args);
            break;
        }
        case 2:
            if (target_.mapped())
                (void)start();
            break;
        case 3:
            if (dice_.one_in(256))
                (void)::ioctl(target_.fd, VRAMSWAP_IOC_STOP);
            break;
        case 4: // the right numbers with a pointer to nowhere
            (void)::ioctl(target_.fd, dice_.pick(std::array{VRAMSWAP_IOC_ATTACH, VRAMSWAP_IOC_ENTER}), dice_.edgy());
            break;
        default:
            (void)::ioctl(target_.fd, static_cast<unsigned long>(safe_number(dice_.edgy())), dice_.edgy());
            break;
        }
    }

    /// Any ioctl number but those that would make or end a session behind the back of the rest.
    static std::uint32_t safe_number(std::uint64_t number) {
        const auto request = static_cast<std::uint32_t>(number);
        const bool ours =
            request == VRAMSWAP_IOC_ATTACH || request == VRAMSWAP_IOC_START || request == VRAMSWAP_IOC_STOP;
        return ours ? request + 1 : request;
    }

    void mappings() {
        const std::array regions{target_.shape.sq, target_.shape.cq, target_.shape.staging, target_.shape.map};
        vramswap_region region = dice_.pick(regions);
        if (dice_.one_in(2))
            region.offset = dice_.edgy() & ~std::uint64_t{4095};
        if (dice_.one_in(2))
            region.size = dice_.edgy();
        const int protection = static_cast<int>(dice_.below(8));
        const int flags = dice_.one_in(4) ? MAP_PRIVATE : MAP_SHARED;
        void* const address =
            ::mmap(nullptr, region.size, protection, flags, target_.fd, static_cast<off_t>(region.offset));
        if (address == MAP_FAILED)
            return;
        if ((protection & PROT_EXEC) != 0 || flags == MAP_PRIVATE)
            violation(counts_, "a mapping with protection {} and flags {} was made", protection, flags);
        void* const moved =
            ::mremap(address, region.size, dice_.one_in(2) ? region.size : region.size + 4096, MREMAP_MAYMOVE);
        void* const last = moved == MAP_FAILED ? address : moved;
        if (moved != MAP_FAILED && dice_.one_in(2))
            (void)::munmap(static_cast<std::byte*>(last) + 4096, 4096);
        (void)::munmap(last, region.size);
    }

    void advise() {
        const Area& area = *dice_.pick(std::array{&target_.sq, &target_.cq, &target_.staging, &target_.map});
        if (area.address == nullptr)
            return;
        // What frees pages is left out: another thread of ours would find zeroes, which it may not show to a reader.
        const int advice =
            dice_.pick(std::array{MADV_NORMAL, MADV_RANDOM, MADV_WILLNEED, MADV_DOFORK, MADV_DONTFORK, MADV_HUGEPAGE,
                                  MADV_MERGEABLE, MADV_DODUMP, MADV_COLD, MADV_PAGEOUT, MADV_POPULATE_READ});
        (void)::madvise(area.address, area.size, advice);
    }

    void files() {
        const int copy = ::fcntl(target_.fd, F_DUPFD_CLOEXEC, 0);
        (void)::lseek(target_.fd, static_cast<off_t>(dice_.edgy()), SEEK_SET);
        std::array<char, 16> bytes{};
        if (::read(copy, bytes.data(), bytes.size()) >= 0 || ::write(copy, bytes.data(), bytes.size()) >= 0)
            violation(counts_, "the control device can be read or written");
        (void)::close(copy);
    }

    /// A child inherits the file, not the mappings, and dies in the middle of something.
    void child() {
        const pid_t pid = ::fork();
        if (pid == 0) {
            Target bare;
            bare.fd = target_.fd;
            bare.shape = target_.shape;
            Hand hand(bare, dice_.word(), counts_);
            for (int i = 0; i < 20; ++i)
                hand.foreign_child();
            ::_exit(0);
        }
        if (pid > 0)
            (void)::waitpid(pid, nullptr, 0);
    }

    void foreign_child() {
        ++counts_.operations;
        switch (dice_.below(3)) {
        case 0:
            mappings();
            break;
        case 1:
            files();
            break;
        default:
            enter(static_cast<unsigned>(dice_.below(4)), 0, static_cast<std::uint32_t>(dice_.edgy()));
            break;
        }
    }

    Target& target_;
    Dice dice_;
    Counts& counts_;
    std::uint64_t own_word_;
};

/// Threads may not inherit the preparation that ENTER asks for from each other, so each makes its own, mostly.
void prepare(Dice& dice) {
    if (!dice.one_in(32))
        (void)::prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0);
    if (!dice.one_in(32))
        (void)::mlockall(MCL_CURRENT | MCL_FUTURE);
}

/// ENTER with WAIT must not last: a signal comes all the time.
void ring_alarms() {
    struct sigaction action{};
    action.sa_handler = [](int) {};
    (void)::sigaction(SIGALRM, &action, nullptr);
    const itimerval often{.it_interval = {.tv_sec = 0, .tv_usec = 20000}, .it_value = {.tv_sec = 0, .tv_usec = 20000}};
    (void)::setitimer(ITIMER_REAL, &often, nullptr);
}

} // namespace

void live_hostile(const HostileLife& life, Counts& counts) {
    Dice dice(life.seed);
    prepare(dice);
    ring_alarms();
    const std::string path = fmt::format("/dev/vramswapc{}", life.device);
    const auto target = std::make_unique<Target>();
    target->fd = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
    if (target->fd < 0)
        return;
    Hand(*target, dice.word(), counts).settle();
    std::atomic<std::uint64_t> left{life.operations};
    const auto play = [&](std::uint64_t seed) {
        Hand hand(*target, seed, counts);
        while (!counts.over && hand.goes_on() && left.fetch_sub(1) - 1 < life.operations)
            hand.act();
    };
    if (!target->mapped()) { // settling changes what all threads use: not with several
        play(dice.word());
        return;
    }
    std::vector<std::thread> threads;
    for (unsigned i = 1; i < life.threads; ++i)
        threads.emplace_back(play, dice.word());
    // Some helpers die in the middle of everything.
    if (dice.one_in(3)) {
        (void)::usleep(static_cast<useconds_t>(dice.below(50000)));
        (void)::kill(::getpid(), SIGKILL);
    }
    play(dice.word());
    for (std::thread& thread : threads)
        thread.join();
    if (dice.one_in(4))
        (void)::ioctl(target->fd, VRAMSWAP_IOC_STOP);
}

} // namespace fuzz
