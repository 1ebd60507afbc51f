# SPDX-License-Identifier: MIT
# The disk is there from the start, but has no capacity until a helper is live, and none after it has stopped. Each
# change is announced to udev.
# memory: 1G
# timeout: 300
# shellcheck shell=bash

capacity() { echo $(($(cat /sys/block/vramswap0/size) * 512)); }

# Uevents as lines "ACTION DEVPATH KEY=VALUE...", from a listener that says when it is there.
listen() {
	python3 -u - >uevents <<-'END'
		import socket
		s = socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, 15)  # NETLINK_KOBJECT_UEVENT
		s.bind((0, 1))
		print("listening")
		while True:
		    print(" ".join(s.recv(65536).decode(errors="replace").split("\0")))
	END
}

uevents_of() { grep -cE "^$1@.*/block/vramswap0 " uevents || true; }

listen &
listener=$!
wait_for "grep -q listening uevents" 20

load_module
wait_for "at_least 1 uevents_of add" 10
assert_eq "$(capacity)" 0 "capacity without a helper"
assert_eq "$(status_of state)" empty state
refused 'at least' mkswap /dev/vramswap0
assert_eq "$(dd if=/dev/vramswap0 bs=4k count=1 iflag=direct status=none | wc -c)" 0 "bytes read without a helper"
refused 'space' dd if=/dev/zero of=/dev/vramswap0 bs=4k count=1 oflag=direct

changes=$(uevents_of change)
start_helper 0 64M
assert_eq "$(capacity)" $((64 << 20)) "capacity while live"
wait_for "at_least $((changes + 1)) uevents_of change" 10

tell_helper 0 restart never
dd if=/dev/urandom of=/dev/vramswap0 bs=4k count=4 oflag=direct status=none
kill_helper 0
wait_state held
assert_eq "$(capacity)" $((64 << 20)) "capacity while held"
tell_helper 0 start
wait_helper 0 ready
assert_eq "$(capacity)" $((64 << 20)) "capacity with the next helper"

changes=$(uevents_of change)
stop_helper 0
assert_eq "$(capacity)" 0 "capacity after a stop"
wait_for "at_least $((changes + 1)) uevents_of change" 10
say "uevents: $(uevents_of add) add, $(uevents_of change) change"

say "what the disk is like"
queue=/sys/block/vramswap0/queue
assert_eq "$(cat $queue/logical_block_size) $(cat $queue/physical_block_size)" "4096 4096" "block sizes"
assert_eq "$(cat $queue/rotational)" 0 rotational
assert_eq "$(cat $queue/write_cache)" "write through" "write cache"
assert_eq "$(cat $queue/max_hw_sectors_kb)" 128 "largest request, KiB"
assert_eq "$(grep -o "\[.*\]" $queue/scheduler)" '[none]' scheduler
[ ! -e $queue/wbt_lat_usec ] || assert_eq "$(cat $queue/wbt_lat_usec)" 0 "writeback throttling"
[ ! -e $queue/stable_writes ] || say "stable_writes: $(cat $queue/stable_writes)"
kill $listener
unload_module
