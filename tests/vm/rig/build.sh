# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# vm build: kmod/ for each kernel, out of tree in build/kmod-NAME/; build/kmod-NAME-faults/ is the flavour with faults on
# request (kmod/fault.h), which is the only one on the kernels that watch.

# make_module NAME FLAVOUR DIR [MAKE-ARGUMENT...]: kbuild on DIR. Type information (BTF) is left out, since making it
# needs a tool of its own version for each kernel.
make_module() {
	local name=$1 flavour=$2 dir=$3 faults=''
	shift 3
	[ -z "$flavour" ] && ! is_own_kernel "$name" || faults=y
	for_kernel "$name" make -j"$(nproc)" -C "$KERNELS/$name/kdir" M="$dir" W=1 KCFLAGS=-Werror \
		CONFIG_DEBUG_INFO_BTF_MODULES= VRAMSWAP_FAULTS="$faults" "${@:-modules}"
}

# build_warnings LOG: warnings, but for kbuild's own about the type information.
build_warnings() {
	grep -iE 'warning' "$1" | grep -vE '^warning: pahole version differs|^Skipping BTF generation'
}

sources_hash() {
	(cd "$REPO" && find kmod uapi -type f | LC_ALL=C sort | xargs sha256sum
		cat "$VM_DIR/rig/build.sh" "$KERNELS/$1/vmlinuz") | sha256sum
}

# copy_sources DIR: the two folders side by side, as in the repository. Files that did
# not change keep their times, so that kbuild does no more than it must.
copy_sources() {
	local dir=$1 file
	(cd "$REPO" && find kmod uapi -type f) | while read -r file; do
		mkdir -p "$dir/$(dirname "$file")"
		cmp -s "$REPO/$file" "$dir/$file" || cp "$REPO/$file" "$dir/$file"
	done
}

# flavour KERNEL TEST-FILE: which module the test wants there: "-faults", or nothing for the usual one.
flavour() {
	is_own_kernel "$1" || [ "$(header "$2" module)" != faults ] || echo -faults
}

# build_module NAME FLAVOUR
build_module() {
	local name=$1 dir=$BUILD/kmod-$1$2 hash
	hash=$(sources_hash "$name")
	[ "$hash" != "$(cat "$dir/built-from" 2>/dev/null)" ] || return 0
	mkdir -p "$dir"
	rm -f "$dir/built-from"
	copy_sources "$dir"
	if ! make_module "$name" "$2" "$dir/kmod" >"$dir/log" 2>&1 || build_warnings "$dir/log" >/dev/null; then
		cat "$dir/log" >&2
		rm -rf "$dir/kmod" "$dir/uapi"
		die "kernel $name: the module did not build cleanly"
	fi
	cp "$dir/kmod/vramswap.ko" "$dir/vramswap.ko.new"
	mv "$dir/vramswap.ko.new" "$dir/vramswap.ko"
	echo "$hash" >"$dir/built-from"
}

has_module_sources() { [ -e "$REPO/kmod/Kbuild" ] || [ -e "$REPO/kmod/Makefile" ]; }

# need_module NAME [FLAVOUR]: builds it unless it is built, or VRAMSWAP_KO names another.
need_module() {
	[ -z "${VRAMSWAP_KO:-}" ] && has_module_sources || return 0
	require "${NEEDS_BUILD[@]}"
	need_kernel "$1"
	with_lock "build-$1${2-}" build_module "$1" "${2-}"
}

cmd_build() {
	local name names
	[ "$#" -gt 0 ] || mapfile -t names < <(default_kernels)
	has_module_sources || die "no kmod/ to build"
	for name in "${@:-${names[@]}}"; do
		need_module "$name"
		printf '%-7s %s\n' "$name" "$(module_file "$name")"
	done
}

# vm make KERNEL DIR [MAKE-ARGUMENT...]: kbuild on any folder below the repository.
cmd_make() {
	[ "$#" -ge 2 ] || usage
	need_kernel "$1"
	make_module "$1" '' "$(realpath "$2")" "${@:3}"
}
