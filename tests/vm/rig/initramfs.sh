# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# What a guest is started from: the kernel unpacked, an initramfs (busybox and what it
# takes to mount the root), and the watcher. Each is named after what it is made from.

INITRAMFS_MODULES=(virtio_pci virtio_console 9pnet_virtio 9p overlay)

content_hash() { cat "$@" | sha256sum | cut -c 1-12; }

# Files of earlier versions of the rig go when they were not used for a day.
drop_old() { find "$CACHE/initramfs" -name "$1-*" -mmin +1440 -delete; }

# What whole systems need besides: what they write lies on a disk, as it would elsewhere.
SYSTEM_MODULES=(virtio_blk crc32c_generic ext4)

# module_files NAME: paths of the modules to insert, dependencies first.
module_files() {
	local module modules=("${INITRAMFS_MODULES[@]}")
	[[ $1 != system-* ]] || modules+=("${SYSTEM_MODULES[@]}")
	for module in "${modules[@]}"; do
		PATH=$PATH:/usr/sbin:/sbin modprobe -d "$KERNELS/$1/root" -S "$(kernel_version "$1")" \
			--show-depends "$module" || die "kernel $1 has no module $module"
	done | sed -n 's/^insmod //p' | sed 's/ *$//' | awk '!seen[$0]++'
}

# unpacked FILE: its content; not every busybox can insert compressed modules.
unpacked() {
	case $1 in
	*.xz) xz -dc "$1" ;;
	*.zst) zstd -dcq "$1" ;;
	*.gz) gzip -dc "$1" ;;
	*) cat "$1" ;;
	esac
}

fill_initramfs() {
	local name=$1 dir=$2 file plain
	mkdir -p "$dir/bin" "$dir/modules"
	cp "$(command -v busybox)" "$dir/bin/busybox"
	cp "$VM_DIR/guest/initramfs-init" "$dir/init"
	chmod 755 "$dir/init"
	module_files "$name" | while read -r file; do
		plain=$(basename "$file")
		plain=${plain%.ko*}.ko
		unpacked "$file" >"$dir/modules/$plain"
		echo "$plain" >>"$dir/modules/order"
	done
	find "$dir" -exec touch -h -d @0 {} +
}

make_initramfs() {
	local name=$1 file=$2 dir=$CACHE/initramfs/.new-$1
	[ ! -e "$file" ] || return 0
	rm -rf "$dir"
	fill_initramfs "$name" "$dir"
	(cd "$dir" && find . | LC_ALL=C sort |
		cpio --quiet --reproducible -o -H newc -R 0:0) >"$dir.cpio"
	rm -r "$dir"
	mv "$dir.cpio" "$file"
}

# need_initramfs NAME: prints its path.
need_initramfs() {
	local file
	file=$CACHE/initramfs/$1-$(content_hash "$VM_DIR/guest/initramfs-init" \
		"$VM_DIR/rig/initramfs.sh" "$KERNELS/$1/vmlinuz" "$(command -v busybox)").cpio
	with_lock "initramfs-$1" make_initramfs "$1" "$file"
	touch "$file"
	echo "$file"
}

# number FILE OFFSET BYTES: a field of the kernel image's header.
number() { od -An -v "-tu$3" "-j$2" "-N$3" "$1" | tr -d ' '; }

# payload FILE: the compressed kernel inside a bzImage (Documentation/arch/x86/boot.rst:
# setup_sects, payload_offset, payload_length; the last four bytes are the size unpacked).
payload() {
	local setup_sects payload_offset payload_length
	setup_sects=$(number "$1" $((0x1f1)) 1)
	payload_offset=$(number "$1" $((0x248)) 4)
	payload_length=$(number "$1" $((0x24c)) 4)
	dd "if=$1" bs=1M iflag=skip_bytes,count_bytes count=$((payload_length - 4)) \
		skip=$(((setup_sects + 1) * 512 + payload_offset)) 2>/dev/null
}

# The kernel's own decompression takes seconds when emulated. QEMU also boots the plain
# kernel; where it cannot be unpacked here, the packed one does.
make_vmlinux() {
	local image=$KERNELS/$1/vmlinuz file=$2 method
	[ ! -e "$file" ] || return 0
	mkdir -p "$CACHE/initramfs"
	drop_old "$1"
	for method in 'xz -dc' 'zstd -dcq' 'gzip -dc' 'lz4 -dc'; do
		# shellcheck disable=SC2086
		if payload "$image" | $method >"$file.new" 2>/dev/null; then
			mv "$file.new" "$file"
			return
		fi
	done
	rm -f "$file.new"
	cp -L "$image" "$file"
}

# need_vmlinux NAME: prints its path.
need_vmlinux() {
	local file
	file=$CACHE/initramfs/$1-$(content_hash "$KERNELS/$1/vmlinuz" "$VM_DIR/rig/initramfs.sh").vmlinux
	with_lock "initramfs-$1" make_vmlinux "$1" "$file"
	touch "$file"
	echo "$file"
}

make_watcher() {
	[ ! -e "$1" ] || return 0
	mkdir -p "$(dirname "$1")"
	gcc -O2 -Wall -Wextra -static -o "$1.new" "$VM_DIR/guest/watcher.c"
	mv "$1.new" "$1"
}

# need_watcher: prints its path.
need_watcher() {
	local file
	file=$CACHE/watcher/watcher-$(content_hash "$VM_DIR/guest/watcher.c")
	with_lock watcher make_watcher "$file"
	echo "$file"
}
