# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# Paths, messages, locks and the host's packages. Sourced by tests/vm/vm, first.
#
# shellcheck disable=SC2034 # used by the other parts

REPO=$(realpath "$VM_DIR/../..")
CACHE=${VRAMSWAP_VM_CACHE:-$REPO/.cache}
BUILD=$REPO/build
KERNELS=$CACHE/kernels
STOCK_KERNELS=(6.1 6.12 7.2)

say() { printf 'vm: %s\n' "$*" >&2; }

die() {
	say "$*"
	exit 2
}

# with_lock NAME COMMAND...: one process at a time for each name.
with_lock() {
	local name=$1 fd
	shift
	mkdir -p "$CACHE/locks"
	exec {fd}>"$CACHE/locks/$name"
	flock -n "$fd" || {
		say "waiting for another run that holds the lock '$name'"
		flock "$fd"
	}
	# What the command starts must not hold the lock after it.
	eval '"$@"' "$fd>&-"
	exec {fd}>&-
}

# as_root COMMAND...: as it is when we are root, else through sudo.
as_root() {
	if [ "$(id -u)" -eq 0 ]; then
		"$@"
	else
		sudo "$@"
	fi
}

# What each kind of work needs: "command:package", or "header:package".
NEEDS_FETCH=(dpkg-deb:dpkg depmod:kmod)
NEEDS_CHROOT=(debootstrap:debootstrap unshare:util-linux)
NEEDS_BUILD=(make:make gcc:gcc)
NEEDS_OWN=(make:make gcc:gcc flex:flex bison:bison bc:bc xz:xz-utils gelf.h:libelf-dev)
NEEDS_RUN=(qemu-system-x86_64:qemu-system-x86 busybox:busybox-static cpio:cpio
	modprobe:kmod gcc:gcc setpriv:util-linux xz:xz-utils zstd:zstd)

# missing_packages NEED...: names of the packages whose command is not there.
missing_packages() {
	local need path="$PATH:/usr/sbin:/sbin"
	for need in "$@"; do
		PATH=$path command -v "${need%%:*}" >/dev/null || [ -e "/usr/include/${need%%:*}" ] ||
			echo "${need##*:}"
	done | sort -u
}

# require NEED...: installs what is missing.
require() {
	local missing
	mapfile -t missing < <(missing_packages "$@")
	[ "${#missing[@]}" -eq 0 ] || with_lock deps install_packages "${missing[@]}"
}

install_packages() {
	local again=(-o DPkg::Lock::Timeout=600 install -y --no-install-recommends)
	[ "$(id -u)" -eq 0 ] || command -v sudo >/dev/null ||
		die "missing packages: $*; install them as root"
	say "installing $*"
	as_root apt-get "${again[@]}" "$@" >&2 && return
	as_root apt-get update >&2
	as_root apt-get "${again[@]}" "$@" >&2
}

cmd_deps() {
	require "${NEEDS_FETCH[@]}" "${NEEDS_CHROOT[@]}" "${NEEDS_BUILD[@]}" "${NEEDS_RUN[@]}"
	[ -e "$DEBIAN_KEYRING" ] || with_lock deps install_packages debian-archive-keyring
}

# kernel_version NAME: what `uname -r` says in that guest.
kernel_version() { cat "$KERNELS/$1/version"; }

# kernel_modules NAME: the folder that is /lib/modules/VERSION in that guest.
kernel_modules() { echo "$KERNELS/$1/root/usr/lib/modules/$(kernel_version "$1")"; }

# kernel_trait NAME TRAIT DEFAULT: what the kernel's folder says about it (debug.sh).
kernel_trait() { cat "$KERNELS/$1/$2" 2>/dev/null || echo "$3"; }
