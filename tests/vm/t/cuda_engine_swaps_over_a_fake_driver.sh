# SPDX-License-Identifier: MIT
# The CUDA engine under swap, over a libcuda that is none (tests/support/fake_cuda): all pages come back, from workers
# that are killed and from such as end because their GPU broke. A GPU that lost its contents is never served blank.
# memory: 2G
# timeout: 420
# shellcheck shell=bash

# with_fake FAULTS: the helper's driver from here on.
with_fake() {
	cat >vramswapd-over-fake <<-END
		#!/bin/sh
		export LD_LIBRARY_PATH=$(realpath "$VRAMSWAP_BIN/../fake-cuda") VRAMSWAP_FAKE_CUDA=$1
		exec vramswapd "\$@"
	END
	chmod +x vramswapd-over-fake
}
export HELPER=$PWD/vramswapd-over-fake

# swap_torture while COMMAND... is run, to the end of both.
swapped_while() {
	local torture
	cg_run 32M swap_torture --size 52M --procs 2 --passes 1 --json >torture.json 2>torture.log &
	torture=$!
	wait_for "at_least $(($(vmstat_of pswpin) + 1500)) vmstat_of pswpin" 60
	"$@"
	wait $torture || die "swap_torture: $? $(tail -n 3 torture.log)"
	nothing_wrong torture.json
}

killed_thrice() {
	for _ in 1 2 3; do
		kill_worker 0
		sleep 1
	done
}

# swapped_through FAULT LEAST [ARGUMENT...]: while the GPU fails its workers so, LEAST of them or more, each with its
# successor's help. (By the copy engines: a helper that measures the other paths first makes an unknown number of copies.)
swapped_through() {
	local before gone
	with_fake "vram_mib=400,$1"
	start_helper 0 256M --engine auto --cuda-path engine "${@:3}"
	swap_on
	before=$(grep -c 'kept for the next' /run/helper-0/log)
	swapped_while true
	gone=$(($(grep -c 'kept for the next' /run/helper-0/log) - before))
	say "$gone workers gave way to others"
	[ "$gone" -ge "$2" ] || die "$gone workers gave way, not $2 at least"
	swapoff /dev/vramswap0
	stop_helper 0
}

load_module
no_readahead

say "what cannot be is said in a sentence"
mkdir none
: >none/libcuda.so.1
LD_LIBRARY_PATH=$PWD/none refused 'no NVIDIA driver' vramswapd --size 64M --engine cuda
with_fake vram_mib=400
refused 'MiB free, but 518 MiB are asked for' "$HELPER" --size 512M --engine cuda
refused 'MiB free, but 518 MiB are asked for' "$HELPER" --size 512M --engine auto
refused 'GPU' "$HELPER" --size 64M --engine cuda --gpu 7

say "where the GPU may not reach our memory, host memory does"
with_fake vram_mib=400,refuse_register=1
start_helper 0 64M --engine auto
[[ $(vramswapctl status 0 --noheadings --output ENGINE) == *host* ]] || die "there is no host memory: $(vramswapctl status 0)"
grep -q 'the bytes go to host memory: .*cuMemHostRegister' /run/helper-0/log || die "the helper does not say why"
stop_helper 0
with_fake vram_mib=400

say "workers are killed"
start_helper 0 256M --engine cuda
[[ $(vramswapctl status 0) == *'FAKE GPU'* ]] || die "the fake is not called by its name: $(vramswapctl status 0)"
swap_on
take_counters before
swapped_while killed_thrice
take_counters after
counters_agree before after 16
swapoff /dev/vramswap0
stop_helper 0

say "the GPU breaks, again and again"
swapped_through sticky_at=6000:700 2

say "the GPU hangs, again and again"
swapped_through hang_at=6000 1 --io-timeout 2
vramswapctl set 0 --io-timeout 30

say "a helper gives no answer, as one that is stuck in its driver, until the kernel ends it"
with_fake vram_mib=400
start_helper 0 64M --engine auto --io-timeout 2 --hold-timeout 16
dd if=/dev/urandom of=written bs=64k count=16 status=none
dd if=written of=/dev/vramswap0 bs=64k oflag=direct status=none
worker=$(worker_of 0)
sleep 2 # then it has noted for its successors how it copies
kill -STOP "$worker"
dd if=/dev/vramswap0 of=read bs=64k count=16 iflag=direct status=none &
reader=$!
wait_other_worker 0 "$worker" 60
wait $reader
cmp written read
grep -q 'did not answer: copies go another way' /run/helper-0/log || die "its successor copies as it did"
stop_helper 0
vramswapctl set 0 --io-timeout 30
vramswapctl set 0 --hold-timeout 120

# flipped_among_writes [ARGUMENT...]: 64 MiB are written, of which the GPU stores one bit wrong, and read into "read"; what
# dd says is left in dd.log.
flipped_among_writes() {
	with_fake vram_mib=400,bitflip_at=5000 # after the warm-up, and before the last write
	start_helper 0 128M --engine cuda --cuda-path engine "$@"
	dd if=written of=/dev/vramswap0 bs=8k oflag=direct status=none
	dd if=/dev/vramswap0 of=read bs=8k count=8192 iflag=direct conv=noerror,sync 2>dd.log || true
}

say "the GPU stores a wrong bit"
dd if=/dev/urandom of=written bs=64k count=1024 status=none
flipped_among_writes
[ "$(grep -c 'Input/output error' dd.log)" = 1 ] ||
	die "not one read failed; dd: $(cat dd.log); the first bytes that differ: $({ cmp -l written read || true; } | head -n 3)"
# dd puts zeroes where nothing could be read: at most the bytes of that one request are others.
differ=$({ cmp -l written read || true; } | awk '{ at = int(($1 - 1) / 8192) } at != last || NR == 1 { n++ }
	{ last = at } $3 != 0 { wrong++ } END { print n + 0, wrong + 0 }')
assert_eq "$differ" "1 0" "requests whose bytes are others, and bytes that are not zeroes there"
grep -q 'other bytes than were stored' /run/helper-0/log || die "the helper says nothing of it"
stop_helper 0
flipped_among_writes --checksums no
assert_eq "$(grep -c 'Input/output error' dd.log)" 0 "reads that failed without checksums"
assert_eq "$({ cmp -l written read || true; } | grep -c .)" 1 "bytes that are wrong without checksums"
stop_helper 0

say "the GPU loses its memory"
with_fake vram_mib=400,blank_at=5000:719
start_helper 0 256M --engine auto --cuda-path engine
vramswapctl set 0 --hold-timeout 5
swap_on
start_torture 40M --size 52M --passes 1000
wait_state failed 0 120
torture_lost_pages
grep -q 'the GPU lost the contents' /run/helper-0/log || die "the helper does not say what was lost"
tell_helper 0 stop
swapoff /dev/vramswap0
wait_helper 0 down
echo quit >/run/helper-0/control
wait_for unload_module 20
