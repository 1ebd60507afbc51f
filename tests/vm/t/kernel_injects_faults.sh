# SPDX-License-Identifier: MIT
# The kernel's own fault injection, at random where every_fault_unwinds goes by names: allocations that fail wherever the
# module is among the callers, and completions that never come. What cannot be had is refused in words and leaves nothing
# behind; I/O notices nothing, with not one allocation granted while a helper serves it.
# memory: 1G
# timeout: 300
# kernels: debug kcsan
# setting: INJECT_ROUNDS 6
# shellcheck shell=bash

inject=/sys/kernel/debug

# injecting KIND INTERVAL PERCENT: of every INTERVAL chances, PERCENT of one fail, for as long as there is this module.
injecting() {
	local dir=$inject/$1
	echo 0 >"$dir/verbose"
	echo 100000 >"$dir/times"
	echo "$2" >"$dir/interval"
	echo "$3" >"$dir/probability"
}

# injected KIND: stops it, and prints how many have failed.
injected() {
	echo 0 >"$inject/$1/probability"
	echo $((100000 - $(cat "$inject/$1/times")))
}

# for_the_module KIND: only where the module's code is among the callers, for all kinds of allocations.
for_the_module() {
	local dir=$inject/$1 size start
	read -r _ size _ _ _ start _ < <(grep '^vramswap ' /proc/modules)
	printf '%#x\n' "$((start))" >"$dir/require-start"
	printf '%#x\n' "$((start + size))" >"$dir/require-end"
	echo 32 >"$dir/stacktrace-depth"
	echo N >"$dir/ignore-gfp-wait"
}

# in_words COMMAND...: it succeeds, or says that there is no memory.
in_words() {
	local output
	! output=$("$@" 2>&1) || return 0
	grep -qi 'memory' <<<"$output" || die "'$*' failed without a word of memory: $output"
}

write_and_verify() {
	fio --eta=never --name=faulty --filename=/dev/vramswap0 --ioengine=libaio --direct=1 --iodepth=16 --rw=randwrite \
		--bsrange=4k-64k --size=8M --verify=crc32c --verify_fatal=1 --do_verify=1 --output=fio.log || {
		cat fio.log
		die "fio: an I/O failed or a byte is wrong"
	}
}

load_module
for_the_module failslab
for_the_module fail_page_alloc
echo 0 >$inject/fail_page_alloc/min-order

say "whatever is asked for, with little to be had"
for percent in 2 10 30; do
	injecting failslab 1 $percent
	injecting fail_page_alloc 20 $percent
	for _ in $(seq "$INJECT_ROUNDS"); do
		in_words vramswapctl add --index 1
		in_words vramswapctl status
		in_words vramswapctl stats 0
		in_words vramswapctl set 0 --hold-timeout 100
		chardev_probe --cycle 1 >probe.log 2>&1 || grep -qiE "memory|ENOMEM" probe.log || die "the probe: $(cat probe.log)"
		[ ! -e /dev/vramswap1 ] || in_words vramswapctl delete 1
	done
	say "$percent %: $(injected failslab) objects and $(injected fail_page_alloc) pages refused"
	[ ! -e /dev/vramswap1 ] || vramswapctl delete 1
	chardev_probe --cycle 1 >/dev/null
done
assert_eq "$(status_of state)" empty "state after all of that"

say "no allocation at all while I/O is served"
start_helper 0 64M
write_and_verify
injecting failslab 1 100
injecting fail_page_alloc 1 100
write_and_verify
say "$(injected failslab) objects and $(injected fail_page_alloc) pages refused"

say "helpers that cannot have what they need at once"
for round in $(seq "$INJECT_ROUNDS"); do
	worker=$(worker_of 0)
	injecting failslab 1 25
	injecting fail_page_alloc 20 20
	(while [ ! -e served ]; do write_and_verify; done) &
	io=$!
	kill -KILL "$worker"
	wait_for "at_least $round grep -c 'contents taken over' /run/helper-0/log" 60
	touch served
	wait $io
	rm served
	say "served again; $(injected failslab) objects and $(injected fail_page_alloc) pages refused"
done

say "completions that never come"
cookie=$(status_of cookie)
vramswapctl set 0 --io-timeout 1
echo 1 >/sys/block/vramswap0/io-timeout-fail
replayed=$(stat_of replayed)
for round in $(seq "$INJECT_ROUNDS"); do
	injecting fail_io_timeout $((round * 37)) 100
	echo 1 >$inject/fail_io_timeout/times
	write_and_verify
	assert_eq "$(cat $inject/fail_io_timeout/times)" 0 "completions still to be lost"
done
say "$(helper_says 0 starts) starts, $(($(stat_of replayed) - replayed)) requests sent again"
[ "$(stat_of replayed)" -ge $((replayed + INJECT_ROUNDS)) ] || die "no request was sent again"
wait_state live
assert_eq "$(status_of cookie)" "$cookie" "name of the contents"
assert_eq "$(stat_of operations.write.errors)" 0 "failed writes"
vramswapctl set 0 --io-timeout 30
stop_helper 0
unload_module
