# SPDX-License-Identifier: MIT
# rmmod is refused while a helper is attached, contents are held, or the disk is open, and has no effect on any of it.
# memory: 1G
# timeout: 400
# shellcheck shell=bash

rmmod_refused() {
	refused 'in use' rmmod vramswap
	say "$1"
}

load_module
start_helper 0 128M
rmmod_refused "a helper is attached"

swap_on
rmmod_refused "it is used for swap"
swapoff /dev/vramswap0

mkfs.ext4 -q /dev/vramswap0
mkdir -p /mnt/use
mount /dev/vramswap0 /mnt/use
rmmod_refused "it is mounted"

head -c 8M /dev/urandom >/mnt/use/file
sum=$(b2sum </mnt/use/file)
tell_helper 0 restart never
kill_helper 0
wait_state held
rmmod_refused "its helper is dead, its contents are held, it is mounted"
tell_helper 0 start
wait_helper 0 ready
echo 3 >/proc/sys/vm/drop_caches
assert_eq "$(b2sum </mnt/use/file)" "$sum" "the file's sum"
umount /mnt/use

stop_helper 0
unload_module
[ ! -e /dev/vramswap0 ] || die "/dev/vramswap0 is still there"
[ ! -e /dev/vramswapc0 ] || die "/dev/vramswapc0 is still there"
