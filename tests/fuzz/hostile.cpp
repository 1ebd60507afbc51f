// SPDX-License-Identifier: MIT
#include "hostile.hpp"

#include "server.hpp"

#include <array>
#include <csignal>
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

/// One thread of a hostile helper.
class Hand {
public:
    Hand(Target& target, const HostileLife& life, std::uint64_t seed, Counts& counts)
        : target_(target), life_(life), dice_(seed), counts_(counts), server_(target, dice_, counts) {}
    Hand(const Hand&) = delete; // its server rolls its dice
    Hand& operator=(const Hand&) = delete;

    /// Attaches, with or without a fault in the arguments. The epoch's only hand does it.
    void settle() {
        if (dice_.one_in(4))
            ioctls();
        server_.attach(dice_.one_in(4) ? 0 : counts_.cookie.load());
        if (!target_.mapped() && !dice_.one_in(4))
            server_.attach(0);
        if (!target_.mapped())
            (void)::usleep(2000); // the contents of the last helper are waited for
        else if (!dice_.one_in(8))
            server_.start();
    }

    /// False when there is no more to be had from this session.
    [[nodiscard]] bool goes_on() { return !target_.ended || !dice_.one_in(64); }

    void act() {
        const std::uint64_t die = dice_.below(64);
        if (!target_.mapped())
            die < 8 ? settle() : foreign();
        else if (dice_.one_in(life_.truths))
            lie();
        else if (die < 54)
            server_.serve();
        else if (die < 60) // staging, perhaps while the kernel copies
            server_.fill(server_.queue(), static_cast<unsigned>(dice_.below(target_.shape.slots)),
                         target_.shape.slot_size);
        else
            foreign();
    }

private:
    /// What may end the session.
    void lie() {
        target_.lied = true;
        switch (dice_.below(8)) {
        case 0:
            scribble();
            break;
        case 1:
            ioctls();
            break;
        default:
            ring();
            break;
        }
    }

    template<typename Word>
    void poke(Word& place, Word word) {
        ++counts_.operations;
        __atomic_store_n(&place, word, __ATOMIC_RELEASE);
    }

    // ---- lies in the ring ----

    void ring() {
        const unsigned queue = server_.queue();
        vramswap_cq& cq = target_.cq_of(queue);
        const std::uint32_t tail = __atomic_load_n(&cq.tail, __ATOMIC_RELAXED);
        const auto slot = static_cast<std::uint16_t>(dice_.below(target_.shape.slots + 2));
        switch (dice_.below(8)) {
        case 0: // a CQE of anything
            poke(*target_.cqe(queue, tail + static_cast<std::uint32_t>(dice_.below(3))), dice_.word());
            break;
        case 1: // a guess at what is out
            server_.put(queue, {.slot = slot, .status = 0, .generation = static_cast<std::uint32_t>(dice_.below(64))});
            break;
        case 2: // the last one again
            server_.put(queue, {.slot = slot, .status = 0, .generation = last_generation(queue)});
            break;
        case 3:
            server_.put(queue, {.slot = static_cast<std::uint16_t>(dice_.edgy()),
                                .status = static_cast<std::uint16_t>(dice_.edgy()),
                                .generation = last_generation(queue)});
            break;
        case 4:
            if (dice_.one_in(16))
                poke(cq.tail, static_cast<std::uint32_t>(dice_.edgy()));
            break;
        case 5:
            if (dice_.one_in(16))
                poke(cq.tail, tail + target_.shape.ring_entries + static_cast<std::uint32_t>(dice_.below(3)));
            break;
        case 6: // back in time
            if (dice_.one_in(16))
                poke(cq.tail, tail - 1);
            break;
        default:
            server_.enter(queue, static_cast<std::uint32_t>(dice_.below(2)), static_cast<std::uint32_t>(dice_.edgy()));
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
        const unsigned queue = server_.queue();
        switch (dice_.below(3)) {
        case 0: // the CQ's reserved words and entries
            poke(reinterpret_cast<std::uint32_t*>(&target_.cq_of(queue))[1 + dice_.below(15)],
                 static_cast<std::uint32_t>(dice_.word()));
            break;
        case 1:
            poke(*target_.cqe(queue, static_cast<std::uint32_t>(dice_.word())), dice_.word());
            break;
        default:
            poke(target_.cq_of(queue).tail, static_cast<std::uint32_t>(dice_.word()));
            break;
        }
    }

    /// Neither by mprotect nor through another process's memory interface may SQ and map be written.
    void forbidden() {
        const Area& area = dice_.one_in(2) ? target_.sq : target_.map;
        if (area.address == nullptr)
            return;
        counts_.operations += 3;
        if (::mprotect(area.address, area.size, PROT_READ | PROT_WRITE) == 0)
            violation(counts_, "a read-only area was made writable");
        if (::mprotect(target_.cq.address, target_.cq.size, PROT_READ | PROT_EXEC) == 0)
            violation(counts_, "the CQ was made executable");
        if (!dice_.one_in(8)) // a pipe takes long to make
            return;
        std::array<int, 2> pipe{};
        if (::pipe2(pipe.data(), O_CLOEXEC | O_NONBLOCK) != 0)
            return;
        constexpr std::uint64_t word = 1;
        if (::write(pipe[1], &word, sizeof word) == sizeof word && ::read(pipe[0], area.address, sizeof word) > 0)
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
            if (target_.mapped())
                forbidden();
            else
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
        ++counts_.operations;
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
            args.spin_us = static_cast<std::uint32_t>(dice_.edgy());
            args.reserved0 = dice_.below(2);
            (void)::ioctl(target_.fd, VRAMSWAP_IOC_ENTER, &args);
            break;
        }
        case 2:
            if (target_.mapped())
                server_.start();
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
        ++counts_.operations;
        if (address == MAP_FAILED)
            return;
        if ((protection & PROT_EXEC) != 0 || flags == MAP_PRIVATE)
            violation(counts_, "a mapping with protection {} and flags {} was made", protection, flags);
        void* const moved =
            ::mremap(address, region.size, dice_.one_in(2) ? region.size : region.size + 4096, MREMAP_MAYMOVE);
        counts_.operations += 2;
        unmap(static_cast<std::byte*>(moved == MAP_FAILED ? address : moved), region.size);
    }

    /// At once, or with a hole in the middle first. Each page once: another thread may have got the address since.
    void unmap(std::byte* address, std::uint64_t size) {
        constexpr std::uint64_t page = 4096;
        const std::uint64_t pages = (size + page - 1) / page;
        if (pages < 3 || dice_.one_in(2)) {
            (void)::munmap(address, size);
            return;
        }
        const std::uint64_t hole = 1 + dice_.below(pages - 2);
        (void)::munmap(address + (hole * page), page);
        (void)::munmap(address, hole * page);
        (void)::munmap(address + ((hole + 1) * page), (pages - hole - 1) * page);
    }

    void advise() {
        const Area& area = *dice_.pick(std::array{&target_.sq, &target_.cq, &target_.staging, &target_.map});
        if (area.address == nullptr)
            return;
        // What frees pages is left out: another thread of ours would find zeroes, which it may not show to a reader.
        const int advice =
            dice_.pick(std::array{MADV_NORMAL, MADV_RANDOM, MADV_WILLNEED, MADV_DOFORK, MADV_DONTFORK, MADV_HUGEPAGE,
                                  MADV_MERGEABLE, MADV_DODUMP, MADV_COLD, MADV_PAGEOUT, MADV_POPULATE_READ});
        ++counts_.operations;
        (void)::madvise(area.address, area.size, advice);
    }

    void files() {
        counts_.operations += 2;
        const int copy = ::fcntl(target_.fd, F_DUPFD_CLOEXEC, 0);
        (void)::lseek(target_.fd, static_cast<off_t>(dice_.edgy()), SEEK_SET);
        std::array<char, 16> bytes{};
        if (::read(copy, bytes.data(), bytes.size()) >= 0 || ::write(copy, bytes.data(), bytes.size()) >= 0)
            violation(counts_, "the control device can be read or written");
        (void)::close(copy);
    }

    /// A child inherits the file, not the mappings, and dies in the middle of something; it may outlive us, and keep
    /// the file of a session that is over.
    void child() {
        const bool outlives = dice_.one_in(4);
        const pid_t pid = ::fork();
        if (pid == 0) {
            Target bare;
            bare.fd = target_.fd;
            bare.shape = target_.shape;
            Hand hand(bare, life_, dice_.word(), counts_);
            for (int i = 0; i < 20; ++i)
                hand.foreign_child();
            if (outlives)
                (void)::usleep(static_cast<useconds_t>(dice_.below(300000)));
            ::_exit(0);
        }
        if (pid > 0 && !outlives)
            (void)::waitpid(pid, nullptr, 0);
    }

    void foreign_child() {
        switch (dice_.below(3)) {
        case 0:
            mappings();
            break;
        case 1:
            files();
            break;
        default:
            if (dice_.one_in(life_.truths))
                server_.enter(static_cast<unsigned>(dice_.below(4)), 0, static_cast<std::uint32_t>(dice_.edgy()));
            break;
        }
    }

    Target& target_;
    const HostileLife& life_;
    Dice dice_;
    Counts& counts_;
    Server server_;
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
    const itimerval often{.it_interval = {.tv_sec = 0, .tv_usec = 5000}, .it_value = {.tv_sec = 0, .tv_usec = 5000}};
    (void)::setitimer(ITIMER_REAL, &often, nullptr);
}

/// One thread of a helper whose threads call everything at once on one file. It answers nothing: its staging memory is
/// not filled, so that no reader may get a word of it.
class Scrambler {
public:
    Scrambler(int fd, std::uint64_t seed, Counts& counts) : fd_(fd), dice_(seed), counts_(counts) {}

    void act() {
        ++counts_.operations;
        switch (dice_.below(8)) {
        case 0:
        case 1:
            attach();
            break;
        case 2:
            if (::ioctl(fd_, VRAMSWAP_IOC_START) == 0)
                ++counts_.sessions;
            break;
        case 3:
            if (dice_.one_in(8))
                (void)::ioctl(fd_, VRAMSWAP_IOC_STOP);
            break;
        case 4: {
            vramswap_enter args{};
            args.queue = static_cast<std::uint32_t>(dice_.below(3));
            args.flags = dice_.one_in(16) ? VRAMSWAP_ENTER_WAIT : 0;
            (void)::ioctl(fd_, VRAMSWAP_IOC_ENTER, &args);
            break;
        }
        default:
            map();
            break;
        }
    }

private:
    void attach() {
        vramswap_attach args{};
        args.abi_version = VRAMSWAP_ABI_VERSION;
        args.cookie = dice_.one_in(2) ? counts_.cookie.load() : 0;
        args.capacity = args.cookie != 0 ? counts_.capacity.load() : usual_capacity;
        if (::ioctl(fd_, VRAMSWAP_IOC_ATTACH, &args) != 0)
            return;
        shape_ = args;
        counts_.cookie = args.cookie;
        counts_.capacity = args.capacity;
    }

    /// What an area was when this thread attached last; by now it may be another's, or nobody's.
    void map() {
        const vramswap_region region = dice_.pick(std::array{shape_.sq, shape_.cq, shape_.staging, shape_.map});
        void* const address =
            ::mmap(nullptr, region.size, PROT_READ, MAP_SHARED, fd_, static_cast<off_t>(region.offset));
        if (address != MAP_FAILED)
            (void)::munmap(address, region.size);
    }

    vramswap_attach shape_{};
    int fd_;
    Dice dice_;
    Counts& counts_;
};

void scramble(const Target& target, const HostileLife& life, Dice& dice, Counts& counts) {
    std::atomic<std::uint64_t> left{life.operations};
    const auto play = [&](std::uint64_t seed) {
        Scrambler scrambler(target.fd, seed, counts);
        while (!counts.over && left.fetch_sub(1) - 1 < life.operations)
            scrambler.act();
    };
    std::vector<std::thread> threads;
    for (unsigned i = 1; i < life.threads; ++i)
        threads.emplace_back(play, dice.word());
    play(dice.word());
    for (std::thread& thread : threads)
        thread.join();
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
    if (life.scrambles) {
        scramble(*target, life, dice, counts);
        return;
    }
    target->alone = life.threads == 1;
    Hand(*target, life, dice.word(), counts).settle();
    std::atomic<std::uint64_t> left{life.operations};
    const auto play = [&](std::uint64_t seed) {
        Hand hand(*target, life, seed, counts);
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
