# shellcheck shell=bash disable=SC2154
# SPDX-License-Identifier: MIT
# brd, the kernel's RAM disk: no queue, no process, the limit for all that moves bytes. (It has a second disk for ublk.)

device_up() {
	share brd rd_nr=2 rd_size=$(($1 * 1024))
	echo /dev/ram0
}

device_down() { unshare_module brd; }
