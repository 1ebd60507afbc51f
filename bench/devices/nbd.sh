# shellcheck shell=bash disable=SC2154
# SPDX-License-Identifier: MIT
# nbd:CONNECTIONS: nbdkit's memory over a Unix socket.

device_up() {
	local device=/dev/nbd$variant
	need nbdkit nbd-client
	share nbd nbds_max=8 max_part=0
	serve nbdkit --foreground --unix "$state/socket" memory "$1M" allocator=malloc
	served "$state/socket"
	nbd-client -unix "$state/socket" "$device" -connections "$variant" -block-size 4096 >"$state/client" 2>&1 ||
		die "$(tail -n1 "$state/client")"
	echo "$device" | tee "$state/device"
}

device_down() {
	[ ! -e "$state/device" ] || nbd-client -d "$(cat "$state/device")" >/dev/null
	unserve
	unshare_module nbd
}
