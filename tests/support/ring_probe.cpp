// SPDX-License-Identifier: MIT
//
// ring_probe: proves on /dev/vramswapcN what becomes of a helper that breaks the ring's rules or goes silent: its
// session ends with the error that uapi/vramswap.h promises, its contents and the requests under way are held, and the
// next helper finds all of them. Each case starts from an empty device and leaves one behind.
//
//   ring_probe [--device N] [CASE...]    these cases, or all that need no preparation; a line each
//   ring_probe --list
//
// Exit status: 0 all as promised, 1 something was not, 2 bad usage.

#include "probe_helper.hpp"

#include <array>

namespace {

using namespace probe;

constexpr std::size_t bytes_each = 8 * block;

// ---- what a correct helper may do ----

void answers_in_any_order(Helper& helper) {
    constexpr std::uint64_t count = VRAMSWAP_MIN_SLOTS;
    helper.go_live();
    helper.write(0, count * bytes_each, 1);
    std::vector<std::unique_ptr<Io>> reads;
    std::vector<Taken> out;
    for (std::uint64_t i = 0; i < count; ++i) {
        reads.push_back(helper.read_later(i * bytes_each, bytes_each, 1));
        out.push_back(helper.take());
    }
    while (!out.empty()) {
        helper.answer(out.back());
        out.pop_back();
    }
    for (const auto& read : reads)
        helper.expect_right(*read);
}

// Whoever waits awake takes the answers of all, gives up after a while, and sleeps: one answer that is late costs no
// processor, and none that is there stays behind.
void one_answer_is_late(Helper& helper) {
    using namespace std::chrono_literals;
    constexpr std::uint64_t count = 4;
    helper.go_live();
    helper.write(0, count * bytes_each, 1);
    for (std::uint64_t late = 0; late < count; ++late) {
        std::vector<std::unique_ptr<Io>> reads;
        std::vector<Taken> taken;
        for (std::uint64_t i = 0; i < count; ++i)
            reads.push_back(helper.read_later(i * bytes_each, bytes_each, 1));
        for (std::uint64_t i = 0; i < count; ++i)
            taken.push_back(helper.take());
        std::ranges::sort(taken, {}, [](const Taken& t) { return t.sqe.offset; });
        for (std::uint64_t i = 0; i < count; ++i)
            if (i != late)
                helper.answer_if_need_be_enter(taken[i]);
        for (std::uint64_t i = 0; i < count; ++i)
            if (i != late)
                Helper::wait_until([&] { return reads[i]->done(); }, "a read that was answered, without ENTER");
        std::this_thread::sleep_for(1s);
        require(!reads[late]->done(), "a read ended without an answer");
        require(reads[late]->cpu_time() < 500ms, "a task waits awake for a second");
        helper.answer_if_need_be_enter(taken[late]);
        for (const auto& read : reads)
            helper.expect_right(*read);
    }
}

void errors_it_may_report(Helper& helper) {
    helper.go_live();
    helper.write(0, bytes_each, 1);
    const auto failing = [&](Io::Kind kind, std::uint16_t status, int error, const char* what) {
        Io io(helper.device(), kind, 0, bytes_each, 2);
        const Taken taken = helper.take();
        helper.session().put(taken.queue, taken.answer(status));
        expect(0, helper.session().enter(taken.queue), "ENTER with a CQE that reports an error");
        expect(error, helper.finish(io), what);
    };
    failing(Io::Kind::read, VRAMSWAP_STATUS_IO_ERROR, EIO, "a read that the helper failed");
    failing(Io::Kind::read, VRAMSWAP_STATUS_DATA_LOST, ENODATA, "a read of lost bytes");
    failing(Io::Kind::write, VRAMSWAP_STATUS_IO_ERROR, EIO, "a write that the helper failed");
    helper.read(0, bytes_each, 1);
}

void map_tells_what_holds_data(Helper& helper) {
    helper.go_live();
    const auto expect_data = [&](bool expected, const char* when) {
        for (std::uint64_t i = 0; i < capacity / block; ++i)
            require(helper.session().block_has_data(i) == (expected && i >= 62 && i < 70),
                    fmt::format("{}: the map is wrong about block {}", when, i));
    };
    expect_data(false, "at first");
    helper.write(62 * block, 8 * block, 1); // across two words of the map
    expect_data(true, "after a write");
    helper.discard(62 * block, 8 * block);
    expect_data(false, "after a discard");
    helper.write(62 * block, 8 * block, 2);
    expect_data(true, "after another write");
    helper.read(62 * block, 8 * block, 2);
}

// ---- broken rings ----

// One read is under way when `misbehave` is let loose on the CQ. The read must end well, by the next helper if need be.
template<typename Misbehave>
void break_ring(Helper& helper, Misbehave misbehave) {
    helper.go_live();
    helper.write(0, 4 * bytes_each, 1);
    const auto read = helper.read_later(0, bytes_each, 1);
    const Taken taken = helper.take();
    misbehave(taken);
    expect(EBADMSG, helper.session().enter(taken.queue), "ENTER with a broken ring");
    for (unsigned queue = 0; queue < helper.session().shape().queues; ++queue)
        expect(EBADMSG, helper.session().enter(queue, VRAMSWAP_ENTER_WAIT), "ENTER once the session has ended");
    expect(EBADMSG, helper.session().start(), "START once the session has ended");
    expect(EBADMSG, helper.session().stop(), "STOP once the session has ended");
    helper.take_over();
    helper.expect_right(*read);
    helper.read(bytes_each, bytes_each, 1);
    helper.write(0, bytes_each, 2);
    helper.read(0, bytes_each, 2);
}

void slot_not_out(Helper& helper) {
    break_ring(helper, [&](const Taken& taken) {
        vramswap_cqe cqe = taken.answer();
        cqe.slot = static_cast<std::uint16_t>((taken.sqe.slot + 1) % helper.session().shape().slots);
        helper.session().put(taken.queue, cqe);
    });
}

void slot_of_no_generation(Helper& helper) {
    break_ring(helper, [&](const Taken& taken) { helper.session().put(taken.queue, {}); });
}

void answered_twice_at_once(Helper& helper) {
    break_ring(helper, [&](const Taken& taken) {
        helper.store().serve(helper.session(), taken.queue, taken.sqe);
        helper.session().put(taken.queue, taken.answer());
        helper.session().put(taken.queue, taken.answer());
    });
}

void answered_twice_later(Helper& helper) {
    break_ring(helper, [&](const Taken& taken) {
        helper.answer(taken);
        helper.session().put(taken.queue, taken.answer());
    });
}

void wrong_generation(Helper& helper) {
    break_ring(helper, [&](const Taken& taken) {
        vramswap_cqe cqe = taken.answer();
        ++cqe.generation;
        helper.session().put(taken.queue, cqe);
    });
}

void older_generation(Helper& helper) {
    break_ring(helper, [&](const Taken& taken) {
        vramswap_cqe cqe = taken.answer();
        --cqe.generation;
        helper.session().put(taken.queue, cqe);
    });
}

// The kernel keeps a bit beside the generation; a CQE must not be able to speak of it.
void generation_with_its_top_bit(Helper& helper) {
    break_ring(helper, [&](const Taken& taken) {
        vramswap_cqe cqe = taken.answer();
        cqe.generation ^= 1U << 31;
        helper.session().put(taken.queue, cqe);
    });
}

void unknown_status(Helper& helper) {
    break_ring(helper, [&](const Taken& taken) {
        helper.session().put(taken.queue, taken.answer(VRAMSWAP_STATUS_DATA_LOST + 1));
    });
}

void absurd_status(Helper& helper) {
    break_ring(helper, [&](const Taken& taken) { helper.session().put(taken.queue, taken.answer(0xffff)); });
}

void slot_out_of_range(Helper& helper) {
    break_ring(helper, [&](const Taken& taken) {
        vramswap_cqe cqe = taken.answer();
        cqe.slot = static_cast<std::uint16_t>(helper.session().shape().slots);
        helper.session().put(taken.queue, cqe);
    });
}

void slot_far_out_of_range(Helper& helper) {
    break_ring(helper, [&](const Taken& taken) {
        vramswap_cqe cqe = taken.answer();
        cqe.slot = 0xffff;
        helper.session().put(taken.queue, cqe);
    });
}

void tail_too_far_ahead(Helper& helper) {
    break_ring(helper, [&](const Taken& taken) {
        Session& session = helper.session();
        session.set_tail(taken.queue, session.tail(taken.queue) + session.shape().ring_entries + 1);
    });
}

void tail_half_the_world_ahead(Helper& helper) {
    break_ring(helper, [&](const Taken& taken) {
        helper.session().set_tail(taken.queue, helper.session().tail(taken.queue) + (1U << 31));
    });
}

void tail_backwards(Helper& helper) {
    break_ring(helper, [&](const Taken& taken) {
        helper.session().set_tail(taken.queue, helper.session().tail(taken.queue) - 1);
    });
}

// On the queue by which nothing has come, if there is one.
void answer_on_another_queue(Helper& helper) {
    break_ring(helper, [&](Taken taken) {
        Session& session = helper.session();
        const unsigned other = (taken.queue + 1) % session.shape().queues;
        vramswap_cqe cqe = taken.answer();
        if (other == taken.queue)
            cqe.generation = 0;
        session.put(other, cqe);
        expect(EBADMSG, session.enter(other), "ENTER on the other queue");
    });
}

// ---- contents without their helper ----

// The next session gets the same request with a new generation; the answer to the old one is worth nothing.
void answer_for_an_older_session(Helper& helper) {
    helper.go_live();
    helper.write(0, bytes_each, 1);
    const auto read = helper.read_later(0, bytes_each, 1);
    const Taken first = helper.take();
    helper.close();
    helper.go_live(true);
    const Taken second = helper.take();
    require(second.sqe.offset == first.sqe.offset && second.sqe.opcode == first.sqe.opcode &&
                second.sqe.length == first.sqe.length,
            "the request was not sent again as it was");
    helper.session().put(second.queue, first.answer());
    expect(EBADMSG, helper.session().enter(second.queue), "ENTER with the answer to an older session's request");
    helper.take_over();
    helper.expect_right(*read);
}

void held_for_who_knows_the_name(Helper& helper) {
    helper.go_live();
    helper.write(0, bytes_each, 1);
    const auto read = helper.read_later(0, bytes_each, 1);
    helper.take();
    helper.close();
    helper.open();
    Session& session = helper.session();
    expect(EEXIST, session.attach(good_attach(capacity)), "ATTACH with new contents");
    expect(ESTALE, session.attach(good_attach(capacity, helper.cookie() + 1)), "ATTACH with another name");
    expect(ERANGE, session.attach(good_attach(capacity + block, helper.cookie())), "ATTACH with another capacity");
    require(disk_capacity(helper.device()) == capacity, "the capacity changed while contents were held");
    require(!read->done(), "a request was not held");
    helper.close();
    helper.go_live(true);
    helper.expect_right(*read);
}

// One that dies between ATTACH and START has changed nothing.
void held_when_the_next_helper_dies_early(Helper& helper) {
    helper.go_live();
    helper.write(0, bytes_each, 1);
    const auto read = helper.read_later(0, bytes_each, 1);
    helper.take();
    helper.close();
    for (int i = 0; i < 3; ++i) {
        helper.attach(true);
        helper.close();
    }
    require(!read->done(), "a request was not held");
    helper.go_live(true);
    helper.expect_right(*read);
}

void writes_are_held_too(Helper& helper) {
    helper.go_live();
    helper.write(0, bytes_each, 1);
    Io before(helper.device(), Io::Kind::write, 0, bytes_each, 2);
    helper.take();
    helper.close();
    Io after(helper.device(), Io::Kind::write, bytes_each, bytes_each, 3);
    require(!before.done() && !after.done(), "a write was not held");
    helper.go_live(true);
    expect(0, helper.finish(before), "the write that was under way");
    expect(0, helper.finish(after), "the write that came while there was no helper");
    helper.read(0, bytes_each, 2);
    helper.read(bytes_each, bytes_each, 3);
}

void discards_need_no_helper(Helper& helper) {
    helper.go_live();
    helper.write(0, 2 * bytes_each, 1);
    helper.close();
    helper.discard(0, bytes_each);
    helper.go_live(true);
    require(!helper.session().block_has_data(0), "a discard had no effect while the contents were held");
    require(helper.session().block_has_data(bytes_each / block), "a discard took too much");
    helper.read(bytes_each, bytes_each, 1);
}

void giving_up_held_contents(Helper& helper) {
    helper.go_live();
    helper.write(0, bytes_each, 1);
    helper.close();
    helper.attach(true);
    expect(0, helper.session().stop(), "STOP of contents that were held");
    require(disk_capacity(helper.device()) == 0, "a stopped device has a capacity");
}

void be_silent_to_the_end(Helper& helper, unsigned queue) {
    int error = 0;
    Helper::wait_until(
        [&] {
            error = helper.session().enter(queue, VRAMSWAP_ENTER_WAIT);
            return error != 0;
        },
        "the session of a silent helper to end");
    expect(ETIMEDOUT, error, "ENTER of a silent helper");
}

// Only with a short I/O timeout: patience is 20 s.
void silent_helper(Helper& helper) {
    helper.go_live();
    helper.write(0, bytes_each, 1);
    const auto read = helper.read_later(0, bytes_each, 1);
    const Taken taken = helper.take();
    be_silent_to_the_end(helper, taken.queue);
    expect(ETIMEDOUT, helper.session().enter(taken.queue), "ENTER once more");
    expect(ETIMEDOUT, helper.session().stop(), "STOP of a silent helper");
    helper.take_over();
    helper.expect_right(*read);
}

// Only with an I/O timeout of 1 s and a hold time of 3 s. Each helper is back at once and as silent as the last, so
// that the request is hardly ever held; it must not wait for ever all the same.
void silent_helpers(Helper& helper) {
    helper.go_live();
    helper.write(0, bytes_each, 1);
    const auto read = helper.read_later(0, bytes_each, 1);
    for (unsigned sessions = 1;; ++sessions) {
        require(sessions <= 6, "a request waits for helpers that never answer");
        be_silent_to_the_end(helper, helper.take().queue);
        helper.close();
        helper.open();
        int error = helper.session().attach(good_attach(capacity, helper.cookie()));
        if (error == 0)
            error = helper.session().map_all();
        if (error == 0)
            error = helper.session().start();
        if (error == ESTALE)
            break; // the contents are given up
        expect(0, error, "ATTACH, mmap and START");
    }
    Helper::wait_until([&] { return read->done(); }, "the request to fail"); // by itself: there may be no ring to serve
    expect(EIO, read->error(), "a read that no helper answers");
    helper.close();
    helper.go_live();
    expect(0, helper.session().stop(), "STOP of new contents");
}

constexpr std::array cases = {
    Case{"answers_in_any_order", answers_in_any_order},
    Case{"one_answer_is_late", one_answer_is_late},
    Case{"errors_it_may_report", errors_it_may_report},
    Case{"map_tells_what_holds_data", map_tells_what_holds_data},
    Case{"slot_not_out", slot_not_out},
    Case{"slot_of_no_generation", slot_of_no_generation},
    Case{"answered_twice_at_once", answered_twice_at_once},
    Case{"answered_twice_later", answered_twice_later},
    Case{"wrong_generation", wrong_generation},
    Case{"older_generation", older_generation},
    Case{"generation_with_its_top_bit", generation_with_its_top_bit},
    Case{"unknown_status", unknown_status},
    Case{"absurd_status", absurd_status},
    Case{"slot_out_of_range", slot_out_of_range},
    Case{"slot_far_out_of_range", slot_far_out_of_range},
    Case{"tail_too_far_ahead", tail_too_far_ahead},
    Case{"tail_half_the_world_ahead", tail_half_the_world_ahead},
    Case{"tail_backwards", tail_backwards},
    Case{"answer_on_another_queue", answer_on_another_queue},
    Case{"answer_for_an_older_session", answer_for_an_older_session},
    Case{"held_for_who_knows_the_name", held_for_who_knows_the_name},
    Case{"held_when_the_next_helper_dies_early", held_when_the_next_helper_dies_early},
    Case{"writes_are_held_too", writes_are_held_too},
    Case{"discards_need_no_helper", discards_need_no_helper},
    Case{"giving_up_held_contents", giving_up_held_contents},
    Case{"silent_helper", silent_helper, true},
    Case{"silent_helpers", silent_helpers, true},
};

} // namespace

int main(int argc, char** argv) try {
    const Arguments arguments = parse_arguments({argv, static_cast<std::size_t>(argc)});
    return arguments.list ? list_cases(cases) : run_cases(cases, arguments.names, arguments.device);
} catch (const std::exception& error) {
    std::fputs(error.what(), stderr);
    return 2;
}
