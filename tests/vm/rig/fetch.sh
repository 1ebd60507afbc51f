# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# vm fetch: kernel packages, unpacked under .cache/kernels/NAME and never installed.
#
# A kernel's folder holds: version, vmlinuz, kdir (for make -C), suite (whose tools
# built it) and root/ (the unpacked packages). Any folder of this shape is a kernel
# that the other commands take by its name.

DEBIAN_KEYRING=${VRAMSWAP_DEBIAN_KEYRING:-/usr/share/keyrings/debian-archive-keyring.gpg}
APT_DIR=$CACHE/apt
UPDATE_AFTER_MIN=60
KERNEL_PARTS='^linux-(binary|modules|modules-extra|base|headers|kbuild)-[0-9]'

kernel_suite() {
	case $1 in
	6.1 | 6.12) echo bookworm ;;
	7.2) echo trixie ;;
	*) return 1 ;;
	esac
}

kernel_pattern() {
	case $1 in
	6.1) echo '^linux-image-(6\.1\.0-[0-9]+-amd64)$' ;;
	6.12) echo '^linux-image-(6\.12\.[0-9]+\+deb12[.0-9]*-amd64)$' ;;
	7.2) echo '^linux-image-(7\.2\.[0-9]+\+deb13[.0-9]*-amd64)$' ;;
	esac
}

# --- which mirror ---

# Rows "uri|release|origin label" of the system's own sources, whatever their format.
host_sources() {
	apt-get indextargets 'Identifier: Packages' 'Component: main' \
		--format "\$(REPO_URI)|\$(RELEASE)|\$(ORIGIN) \$(LABEL)" 2>/dev/null | sort -u
}

# The address is the first source that says it is Debian's main archive; before the
# first `apt-get update` nothing says so, then the usual path of the archive tells.
host_mirror() {
	local row
	row=$(host_sources | grep '|Debian Debian$' | head -n1) || true
	[ -n "$row" ] || row=$(host_sources | grep -E '/debian/?\|[a-z]+\|' | head -n1) || true
	row=${row%%|*}
	echo "${row%/}"
}

host_security_mirror() {
	local row
	row=$(host_sources | grep -E '\|Debian Debian-Security$|/debian-security/?\|' | head -n1) || true
	row=${row%%|*}
	echo "${row%/}"
}

debian_mirror() {
	local mirror=${VRAMSWAP_DEBIAN_MIRROR:-}
	mirror=${mirror%/}
	[ -n "$mirror" ] || mirror=$(host_mirror)
	[ -n "$mirror" ] || die "no Debian mirror in this system's apt sources:" \
		"set VRAMSWAP_DEBIAN_MIRROR to the address of one (http://HOST/debian)," \
		"or use this system's own kernel: vm fetch distro"
	echo "$mirror"
}

# Not every mirror has the security archive beside it; a source that does not answer
# is passed over as long as the kernel is found in another.
security_mirror() {
	if [ -n "${VRAMSWAP_DEBIAN_MIRROR:-}" ]; then
		echo "${VRAMSWAP_DEBIAN_MIRROR%/}-security"
	else
		host_security_mirror
	fi
}

default_kernels() {
	if [ -n "${VRAMSWAP_DEBIAN_MIRROR:-}" ] || [ -n "$(host_mirror)" ]; then
		printf '%s\n' "${STOCK_KERNELS[@]}"
	else
		say "no Debian mirror is known (VRAMSWAP_DEBIAN_MIRROR sets one): taking this system's own kernel"
		echo distro
	fi
}

# --- an apt of our own ---

apt_sources() {
	local mirror security suite
	mirror=$(debian_mirror)
	security=$(security_mirror)
	for suite in bookworm trixie; do
		echo "deb [signed-by=$DEBIAN_KEYRING] $mirror $suite main"
		echo "deb [signed-by=$DEBIAN_KEYRING] $mirror $suite-backports main"
		[ -z "$security" ] ||
			echo "deb [signed-by=$DEBIAN_KEYRING] $security $suite-security main"
	done
}

# Of the system's settings only those for downloading (proxies and the like) hold here.
apt_conf() {
	apt-config dump | grep -E '^Acquire::(http|https|ftp|Check|Retries)' || true
	cat <<-END
		Dir::Etc::Parts "/dev/null";
		Dir::Etc::Main "/dev/null";
		Dir::Etc::SourceList "$APT_DIR/sources.list";
		Dir::Etc::SourceParts "/dev/null";
		Dir::Etc::Preferences "/dev/null";
		Dir::Etc::PreferencesParts "/dev/null";
		Dir::State "$APT_DIR/state";
		Dir::State::status "$APT_DIR/status";
		Dir::Cache "$APT_DIR/cache";
		APT::Architecture "amd64";
		APT::Architectures { "amd64"; };
		APT::Sandbox::User "root";
		Acquire::Languages "none";
		Acquire::Check-Valid-Until "false";
	END
}

apt_setup() {
	mkdir -p "$APT_DIR"/state/lists/partial "$APT_DIR"/cache/archives/partial
	: >"$APT_DIR/status"
	apt_conf >"$APT_DIR/apt.conf"
	apt_sources >"$APT_DIR/sources.list.new"
	cmp -s "$APT_DIR/sources.list.new" "$APT_DIR/sources.list" || rm -f "$APT_DIR/updated"
	mv "$APT_DIR/sources.list.new" "$APT_DIR/sources.list"
}

apt_update() {
	[ -z "$(find "$APT_DIR/updated" -mmin -$UPDATE_AFTER_MIN 2>/dev/null)" ] || return 0
	say "reading the package lists"
	if apt_get update >"$APT_DIR/update.log" 2>&1; then
		touch "$APT_DIR/updated"
	else
		say "some sources did not answer (see $APT_DIR/update.log)"
	fi
}

# The `distro` kernel comes through the system's own apt, all others through ours.
apt_get() { APT_CONFIG=${RIG_APT_CONFIG-$APT_DIR/apt.conf} apt-get "$@"; }
apt_cache() { APT_CONFIG=${RIG_APT_CONFIG-$APT_DIR/apt.conf} apt-cache "$@"; }

# --- which packages ---

# has_packages NAME...: are they all there?
has_packages() {
	local name
	for name in "$@"; do
		apt_cache show "$name" >/dev/null 2>&1 || return 1
	done
}

# newest_version NAME: the newest kernel of that series whose headers are there too.
newest_version() {
	local version pattern
	pattern=$(kernel_pattern "$1")
	for version in $(apt_cache pkgnames linux-image- | sed -nE "s/$pattern/\1/p" | sort -rV); do
		has_packages "linux-image-$version" "linux-headers-$version" || continue
		echo "$version"
		return
	done
	die "found no packages of kernel $1 in the sources (see $APT_DIR/update.log)"
}

distro_version() {
	local meta
	for meta in linux-image-amd64 linux-image-generic; do
		apt_cache depends "$meta" 2>/dev/null |
			sed -nE 's/^ *\|?Depends: linux-image-([0-9].*)$/\1/p' | head -n1 | grep . && return
	done
	die "found no kernel package in this system's sources (apt-get update may help)"
}

# kernel_packages VERSION: its packages, following dependencies through kernel parts only.
kernel_packages() {
	local queue=("linux-image-$1" "linux-headers-$1") seen=' ' next
	! has_packages "linux-modules-extra-$1" || queue+=("linux-modules-extra-$1")
	while [ "${#queue[@]}" -gt 0 ]; do
		next=${queue[0]}
		queue=("${queue[@]:1}")
		[[ $seen != *" $next "* ]] || continue
		seen+="$next "
		echo "$next"
		mapfile -t -O "${#queue[@]}" queue < <(apt_cache depends "$next" |
			sed -nE 's/^ *\|?(Pre)?Depends: ([^<].*)$/\2/p' | grep -E "$KERNEL_PARTS")
	done
}

# --- unpacking ---

unpack_packages() {
	local dir=$1 deb
	shift
	mkdir -p "$dir/debs" "$dir/root/usr/lib"
	ln -s usr/lib "$dir/root/lib"
	(cd "$dir/debs" && apt_get -q download "$@" >"$dir/download.log" 2>&1) || {
		cat "$dir/download.log" >&2
		die "download failed"
	}
	for deb in "$dir"/debs/*.deb; do
		dpkg-deb --fsys-tarfile "$deb" |
			tar -x --keep-directory-symlink --no-same-owner -C "$dir/root"
	done
	rm -r "$dir/debs" "$dir/download.log"
}

# The headers' Makefile names /usr/src; let it find its neighbours where it lies.
relocate_headers() {
	local kdir=$1
	[ ! -L "$kdir/Makefile" ] || return 0
	# shellcheck disable=SC2016
	sed -i -E \
		-e '1i vm_src := $(realpath $(dir $(lastword $(MAKEFILE_LIST)))/..)' \
		-e 's|(^include +)/usr/src/linux-headers|\1$(vm_src)/linux-headers|' \
		-e 's|(^KBUILD_OUTPUT *:?= *)/usr/src/|\1$(vm_src)/|' "$kdir/Makefile"
}

finish_kernel() {
	local dir=$1 version=$2 suite=$3
	relocate_headers "$dir/root/usr/src/linux-headers-$version"
	ln -s "root/usr/src/linux-headers-$version" "$dir/kdir"
	if [ -e "$dir/root/boot/vmlinuz-$version" ]; then
		ln -s "root/boot/vmlinuz-$version" "$dir/vmlinuz"
	else
		ln -s "root/usr/lib/modules/$version/vmlinuz" "$dir/vmlinuz"
	fi
	[ -s "$dir/vmlinuz" ] || die "the packages of $version hold no kernel image"
	ln -sfn "../../../src/linux-headers-$version" "$dir/root/usr/lib/modules/$version/build"
	rm -f "$dir/root/usr/lib/modules/$version/source"
	PATH=$PATH:/usr/sbin:/sbin depmod -b "$dir/root" "$version"
	echo "$suite" >"$dir/suite"
	echo "$version" >"$dir/version"
}

fetch_kernel() {
	local name=$1 suite=$2 version dir=$KERNELS/.new-$1 packages
	[ ! -s "$KERNELS/$name/version" ] || return 0
	if [ "$name" = distro ]; then
		version=$(distro_version)
	else
		apt_setup
		apt_update
		version=$(newest_version "$name")
	fi
	mapfile -t packages < <(kernel_packages "$version")
	say "fetching kernel $name: ${packages[*]}"
	rm -rf "$dir"
	unpack_packages "$dir" "${packages[@]}"
	finish_kernel "$dir" "$version" "$suite"
	rm -rf "${KERNELS:?}/$name"
	mv "$dir" "$KERNELS/$name"
}

# need_kernel NAME: fetches it unless it is there.
need_kernel() {
	if is_own_kernel "$1"; then
		need_own_kernel "$1"
		return
	fi
	[ ! -s "$KERNELS/$1/version" ] || return 0
	require "${NEEDS_FETCH[@]}"
	if [ "$1" = distro ]; then
		RIG_APT_CONFIG='' with_lock fetch fetch_kernel distro host
	else
		kernel_suite "$1" >/dev/null || die "unknown kernel '$1' (known: ${STOCK_KERNELS[*]} ${OWN_KERNELS[*]} distro)"
		[ -e "$DEBIAN_KEYRING" ] || with_lock deps install_packages debian-archive-keyring
		with_lock fetch fetch_kernel "$1" "$(kernel_suite "$1")"
	fi
}

cmd_fetch() {
	local name
	[ "$#" -gt 0 ] || mapfile -t names < <(default_kernels)
	for name in "${@:-${names[@]}}"; do
		need_kernel "$name"
		printf '%-7s %-24s %s\n' "$name" "$(kernel_version "$name")" "$KERNELS/$name"
	done
}
