# shellcheck shell=bash disable=SC2154
# SPDX-License-Identifier: MIT
# ublk:null and ublk:loop: the kernel's own test server (bench/peers builds it), which moves no bytes, or moves them to
# and from brd's second disk.

number() { [ "$variant" = null ] && echo 10 || echo 11; }

# The server takes no more queues than 32 (UBLK_MAX_QUEUES in its kublk.h).
queues() {
	local all
	all=$(nproc)
	echo $((all < 32 ? all : 32))
}

device_up() {
	local backing=()
	[ -x "${BENCH_KUBLK:-}" ] || die "no ublk server: bench/peers builds it from Debian's sources"
	if [ "$variant" = loop ]; then
		share brd rd_nr=2 rd_size=$(($1 * 1024))
		backing=(/dev/ram1)
	fi
	share ublk_drv
	serve "$BENCH_KUBLK" add --foreground -t "$variant" -n "$(number)" -q "$(queues)" -d 128 "${backing[@]}"
	served "/dev/ublkb$(number)"
	echo "/dev/ublkb$(number)"
}

device_down() {
	[ ! -e "$state/pid" ] || "$BENCH_KUBLK" del -n "$(number)" >/dev/null || true
	unserve
	unshare_module ublk_drv
	unshare_module brd
}
