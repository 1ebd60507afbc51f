# shellcheck shell=bash disable=SC2154
# SPDX-License-Identifier: MIT
# zram:ALGORITHM: RAM that compresses.

device_up() {
	local number
	share zram num_devices=0
	read -r number </sys/class/zram-control/hot_add
	echo "$number" >"$state/number"
	echo "$variant" >"/sys/block/zram$number/comp_algorithm" || die "this kernel's zram has no $variant"
	echo "$1M" >"/sys/block/zram$number/disksize"
	echo "/dev/zram$number"
}

device_down() {
	[ ! -e "$state/number" ] || cat "$state/number" >/sys/class/zram-control/hot_remove
	unshare_module zram
}
