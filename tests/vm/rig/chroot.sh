# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# A kernel's build tools may need a newer C library or another compiler than the host
# has. Such a kernel is built in a small chroot of its own Debian release.

chroot_dir() { echo "$CACHE/chroots/$1"; }

# host_fits NAME: can this system run the kernel's build tools and its compiler?
host_fits() {
	local kdir=$KERNELS/$1/kdir tool compiler
	for tool in scripts/basic/fixdep scripts/mod/modpost tools/objtool/objtool; do
		[ -e "$kdir/$tool" ] || continue
		! ldd "$kdir/$tool" 2>&1 | grep -q 'not found' || return 1
	done
	compiler=$(sed -nE 's/^CC *[:?]?=.*(gcc-[0-9]+)$/\1/p' "$kdir/.kernelvariables" 2>/dev/null) || true
	[ -z "$compiler" ] || command -v "$compiler" >/dev/null
}

make_chroot() {
	local suite=$1 dir
	dir=$(chroot_dir "$suite")
	[ ! -e "$dir/.complete" ] || return 0
	say "making a $suite chroot to build in"
	as_root rm -rf "$dir" "$dir.new"
	mkdir -p "$CACHE/chroots"
	PATH=$PATH:/usr/sbin as_root debootstrap --variant=minbase --keyring="$DEBIAN_KEYRING" \
		--include=gcc,make,libc6-dev,libelf-dev "$suite" "$dir.new" "$(debian_mirror)" \
		>"$CACHE/chroots/$suite.log" 2>&1 || {
		tail -n 20 "$CACHE/chroots/$suite.log" >&2
		die "debootstrap failed"
	}
	as_root touch "$dir.new/.complete"
	as_root mv "$dir.new" "$dir"
}

need_chroot() {
	[ ! -e "$(chroot_dir "$1")/.complete" ] || return 0
	require "${NEEDS_CHROOT[@]}"
	with_lock "chroot-$1" make_chroot "$1"
}

# in_chroot SUITE COMMAND...: runs it there; this repository has the same path inside.
# The mounts live in a namespace of their own and go with it.
in_chroot() {
	local dir
	dir=$(chroot_dir "$1")
	shift
	# shellcheck disable=SC2016
	as_root unshare --mount --propagation private bash -euc '
		root=$1 repo=$2 cache=$3
		shift 3
		mkdir -p "$root$repo" "$root$cache"
		mount --rbind "$repo" "$root$repo"
		mount --rbind "$cache" "$root$cache"
		mount --rbind /dev "$root/dev"
		mount -t proc proc "$root/proc"
		exec chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C "$@"
	' in_chroot "$dir" "$REPO" "$CACHE" "$@"
}

# for_kernel NAME COMMAND...: on the host where its tools run, else in the chroot.
for_kernel() {
	local name=$1 suite
	shift
	suite=$(cat "$KERNELS/$name/suite")
	if [ "$suite" = host ] || host_fits "$name"; then
		"$@"
	else
		need_chroot "$suite"
		in_chroot "$suite" "$@"
	fi
}
