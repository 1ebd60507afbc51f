# SPDX-License-Identifier: MIT
# Each CPU has a queue of its own: what one CPU submits goes by one queue, what two submit goes by two.
# memory: 1G
# smp: 2
# timeout: 300
# parallel: yes
# shellcheck shell=bash

# Requests that each queue has completed, as a JSON array.
per_queue() {
	vramswapctl stats 0 --json --queues |
		jq -c '[.queues[].operations | .read.requests + .write.requests]'
}

# pinned CPUS: 4 KiB I/O from one job on each of these CPUs; prints how many requests each queue had of it.
pinned() {
	local before
	before=$(per_queue)
	fio --eta=never --name=pinned --filename=/dev/vramswap0 --ioengine=libaio --direct=1 --iodepth=16 --rw=randrw --bs=4k \
		--thread --numjobs="$(tr ',' '\n' <<<"$1" | wc -l)" --cpus_allowed="$1" --cpus_allowed_policy=split \
		--size=8M --offset_increment=8M --output=fio.log || die "fio: $(cat fio.log)"
	jq -nc --argjson before "$before" --argjson after "$(per_queue)" \
		'[range($after | length) as $i | $after[$i] - $before[$i]]'
}

busy() { jq 'map(select(. > 1000)) | length' <<<"$1"; }

load_module
start_helper 0 64M
say "queues: $(status_of queues), blk-mq's: $(find /sys/block/vramswap0/mq -mindepth 1 -maxdepth 1 -type d | wc -l)"
say "CPUs of each queue: $(cat /sys/block/vramswap0/mq/*/cpu_list | xargs -d '\n' echo)"
[ "$(status_of queues)" -ge 2 ] || die "less than two queues with two CPUs"

first=$(pinned 0)
second=$(pinned 1)
both=$(pinned 0,1)
say "requests by queue, from CPU 0: $first, from CPU 1: $second, from both: $both"
assert_eq "$(busy "$first")" 1 "queues that CPU 0 uses"
assert_eq "$(busy "$second")" 1 "queues that CPU 1 uses"
assert_eq "$(busy "$both")" 2 "queues that both use"

# One thread of the helper serves each queue that has work.
pid=$(worker_of 0)
say "the helper's threads and the CPU time of each, in ticks:" \
	"$(awk '{ printf "%s:%d ", $2, $14 + $15 }' /proc/"$pid"/task/*/stat)"
stop_helper 0
unload_module
