# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# Kernels of our own, which watch what they run: `debug` (memory, locks, objects, leaks), `kcsan` (data races) and `kasan`
# (memory alone, more quickly). Built from Debian's source package with allnoconfig and the fragments in tests/vm/kernels,
# and left in .cache/kernels as any other kernel. They are slower and need more memory than Debian's: their folder says so
# (patience, extra-memory).

OWN_KERNELS=(debug kcsan kasan)
SOURCE_PACKAGE=linux-source-6.12

is_own_kernel() { [[ " ${OWN_KERNELS[*]} " == *" $1 "* ]]; }

fragments() { printf '%s\n' "$VM_DIR/kernels/guest.config" "$VM_DIR/kernels/$1.config"; }

# What a kernel is made from: another one is built when this changes.
own_kernel_hash() {
	local files
	mapfile -t files < <(fragments "$1")
	content_hash "${files[@]}" "$VM_DIR/rig/debug.sh"
}

# fetch_source: prints the path of the kernel's packed source.
fetch_source() {
	local dir=$KERNELS/source
	[ ! -e "$dir/done" ] || return 0
	apt_setup
	apt_update
	say "fetching $SOURCE_PACKAGE"
	rm -rf "$dir"
	mkdir -p "$dir"
	(cd "$dir" && apt_get -q download "$SOURCE_PACKAGE" >log 2>&1) || {
		cat "$dir/log" >&2
		die "download failed"
	}
	dpkg-deb --fsys-tarfile "$dir"/*.deb | tar -x -C "$dir" --wildcards --strip-components=3 './usr/src/*.tar.xz'
	rm "$dir"/*.deb
	touch "$dir/done"
}

# lost_options CONFIG FRAGMENT...: what the fragments ask for and the configuration does not have.
lost_options() {
	local config=$1 line
	shift
	cat "$@" | grep -E '^(CONFIG_|# CONFIG_.* is not set)' | while read -r line; do
		case $line in
		'#'*) ! grep -q "^$(cut -d' ' -f2 <<<"$line")=" "$config" || echo "$line" ;;
		*) grep -qxF "$line" "$config" || echo "$line" ;;
		esac
	done
}

configure_own() {
	local tree=$1 name=$2 parts lost
	mapfile -t parts < <(fragments "$name")
	cat "${parts[@]}" >"$tree/wanted.config"
	make -C "$tree" KCONFIG_ALLCONFIG="$tree/wanted.config" allnoconfig || return
	lost=$(lost_options "$tree/.config" "${parts[@]}")
	[ -z "$lost" ] || {
		printf 'options that the configuration did not take:\n%s\n' "$lost"
		return 1
	}
}

# Only our module is looked at for data races: the rest of the kernel has many that are known and harmless.
own_make_arguments() {
	[ "$1" != kcsan ] || echo KCSAN_SANITIZE=n
}

install_own() {
	local tree=$1 dir=$2 version
	version=$(cat "$tree/include/config/kernel.release")
	mkdir -p "$dir/root/usr/lib"
	ln -s usr/lib "$dir/root/lib"
	make -C "$tree" INSTALL_MOD_PATH="$dir/root" DEPMOD=true modules_install || return
	# shellcheck disable=SC2016 # for make
	make -C "$tree" run-command \
		KBUILD_RUN_COMMAND='$(srctree)/scripts/package/install-extmod-build '"$dir/headers" || return
	cp "$tree/arch/x86/boot/bzImage" "$dir/vmlinuz"
	cp "$tree/.config" "$dir/config"
	cp "$tree/.config" "$dir/headers/"
	ln -s headers "$dir/kdir"
	PATH=$PATH:/usr/sbin:/sbin depmod -b "$dir/root" "$version"
	echo "$version" >"$dir/version.new"
}

# How many times longer than Debian's a test may take, and what the kernel needs of memory in addition, in MiB and in
# eighths of the guest's (KASAN keeps a byte for eight).
own_kernel_traits() {
	echo 4 >"$2/patience"
	[ "$1" = kcsan ] || {
		echo 1 >"$2/shadow-memory"
		echo 256 >"$2/extra-memory"
	}
}

own_kernel_is_there() { [ "$(own_kernel_hash "$1")" = "$(cat "$KERNELS/$1/built-from" 2>/dev/null)" ]; }

build_own() {
	local name=$1 dir=$KERNELS/.new-$1 tree arguments
	! own_kernel_is_there "$name" || return 0
	fetch_source
	say "building kernel $name, which takes some minutes (log: $dir/log)"
	rm -rf "$dir"
	mkdir -p "$dir/tree"
	tree=$dir/tree
	tar -xf "$KERNELS"/source/*.tar.xz -C "$tree" --strip-components=1
	mapfile -t arguments < <(own_make_arguments "$name")
	{
		configure_own "$tree" "$name" &&
			make -j"$(nproc)" -C "$tree" LOCALVERSION="-$name" "${arguments[@]}" bzImage modules &&
			install_own "$tree" "$dir"
	} >"$dir/log" 2>&1 || {
		tail -n 30 "$dir/log" >&2
		die "kernel $name was not built"
	}
	rm -rf "$tree"
	echo host >"$dir/suite"
	own_kernel_traits "$name" "$dir"
	own_kernel_hash "$name" >"$dir/built-from"
	mv "$dir/version.new" "$dir/version"
	rm -rf "${KERNELS:?}/$name"
	mv "$dir" "$KERNELS/$name"
}

# need_own_kernel NAME: builds it unless it is there.
need_own_kernel() {
	! own_kernel_is_there "$1" || return 0
	require "${NEEDS_FETCH[@]}" "${NEEDS_OWN[@]}"
	[ -e "$DEBIAN_KEYRING" ] || with_lock deps install_packages debian-archive-keyring
	with_lock fetch build_own "$1"
}
