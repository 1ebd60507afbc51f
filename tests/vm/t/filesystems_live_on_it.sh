# SPDX-License-Identifier: MIT
# ext4 and xfs are made, filled, checked, read back, and trimmed: what fstrim frees is no longer in use.
# memory: 1G
# timeout: 300
# shellcheck shell=bash

mkdir -p /mnt/live

fill() {
	local i
	for i in $(seq 40); do
		head -c $((i * i * 4321)) /dev/urandom >"/mnt/live/$i"
	done
	(cd /mnt/live && b2sum -- [0-9]*) >sums
}

check_ext4() { e2fsck -fn /dev/vramswap0; }
check_xfs() { xfs_repair -n /dev/vramswap0; }

live_on() {
	local fs=$1 full trimmed
	say "$fs"
	wipefs -qa /dev/vramswap0
	"mkfs.$fs" -q /dev/vramswap0
	mount -t "$fs" /dev/vramswap0 /mnt/live
	fill
	umount /mnt/live
	"check_$fs" >check.log 2>&1 || {
		cat check.log
		die "$fs is damaged"
	}
	full=$(status_of used)

	mount -t "$fs" /dev/vramswap0 /mnt/live
	(cd /mnt/live && b2sum --quiet -c "$OLDPWD/sums")
	rm /mnt/live/[23]?
	sync -f /mnt/live
	fstrim -v /mnt/live
	trimmed=$(status_of used)
	(cd /mnt/live && grep -v ' [23].$' "$OLDPWD/sums" | b2sum --quiet -c)
	umount /mnt/live
	"check_$fs" >check.log 2>&1 || {
		cat check.log
		die "$fs is damaged after fstrim"
	}
	say "$fs: $((full >> 20)) MiB in use when filled, $((trimmed >> 20)) MiB after rm and fstrim"
	[ $((full - trimmed)) -gt $((48 << 20)) ] || die "fstrim freed too little"
}

load_module
start_helper 0 400M
modprobe -a ext4 xfs
live_on ext4
live_on xfs
stop_helper 0
unload_module
