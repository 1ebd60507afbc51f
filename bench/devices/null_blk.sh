# shellcheck shell=bash disable=SC2154
# SPDX-License-Identifier: MIT
# null_blk: the block layer's own price. It moves no bytes, so it holds none.

device_up() {
	load null_blk gb=1 bs=4096 queue_mode=2 irqmode=0 submit_queues="$(nproc)"
	echo /dev/nullb0
}

device_down() { unload null_blk; }
