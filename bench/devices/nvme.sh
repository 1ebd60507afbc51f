# shellcheck shell=bash disable=SC2154
# SPDX-License-Identifier: MIT
# nvme: a disk or partition that may be overwritten, named in BENCH_NVME.

device_up() {
	[ -b "${BENCH_NVME:-}" ] || die "BENCH_NVME names no disk"
	! grep -q "^$BENCH_NVME " /proc/mounts /proc/swaps || die "$BENCH_NVME is in use"
	[ -z "$(lsblk -nro MOUNTPOINTS "$BENCH_NVME" | tr -d '\n')" ] || die "$BENCH_NVME is in use"
	echo "$BENCH_NVME"
}

device_down() { :; }
