# shellcheck shell=bash disable=SC2154
# SPDX-License-Identifier: MIT
# file: a file on a disk, as a swap file would be. BENCH_DISK: a disk to make a file system on; else it is in BENCH_DIR.

device_up() {
	local folder=${BENCH_DIR:-/var/tmp}
	if [ -n "${BENCH_DISK:-}" ]; then
		[ -b "$BENCH_DISK" ] || modprobe virtio_blk
		[ -b "$BENCH_DISK" ] || die "no disk $BENCH_DISK"
		folder=$state/mounted
		mkdir "$folder"
		mkfs.ext4 -q -F -E lazy_itable_init=0,lazy_journal_init=0 "$BENCH_DISK" >"$state/log" 2>&1 ||
			die "$(tail -n1 "$state/log")"
		mount "$BENCH_DISK" "$folder"
	fi
	[ "$(stat -f -c %T "$folder")" != tmpfs ] || die "$folder is in memory: BENCH_DIR may name another folder"
	echo "$folder/vramswap-bench" >"$state/file"
	fallocate -l "$1M" "$folder/vramswap-bench"
	chmod 600 "$folder/vramswap-bench"
	# Not on every file system: fallocated files of btrfs, overlays.
	if ! { mkswap "$folder/vramswap-bench" && swapon -p 0 "$folder/vramswap-bench" &&
		swapoff "$folder/vramswap-bench"; } >"$state/log" 2>&1; then
		grep -q "$folder/vramswap-bench" /proc/swaps || rm "$folder/vramswap-bench"
		die "$folder is no place for a swap file ($(tail -n1 "$state/log")): BENCH_DIR may name another folder"
	fi
	cat "$state/file"
}

device_down() {
	[ ! -e "$state/file" ] || rm -f "$(cat "$state/file")"
	[ ! -e "$state/mounted" ] || umount "$state/mounted"
}
