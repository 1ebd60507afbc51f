# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# vm package: whole systems with systemd, on which the packages are built, installed and lived with.
#
# .cache/systems/SUITE is a small Debian with its own kernel, as a user might have it before. Two layers over it hold what
# is added: SUITE-build what building packages takes, build/vm/package-SUITE the packages. What a guest writes goes to an
# empty disk: on a tmpfs the helper's own program, once upgraded, could be swapped out to the device that waits for it.
#
# shellcheck disable=SC2034 # the G_ variables are for guest.sh

SYSTEMS=$CACHE/systems
SYSTEM_HAS=systemd,systemd-sysv,udev,dbus,kmod,util-linux,procps,gcc,make,libc6-dev
SYSTEM_KERNEL=(linux-image-amd64 linux-headers-amd64 dkms)
BUILDER_HAS=(build-essential cmake debhelper dh-dkms libcli11-dev libfmt-dev libnl-3-dev libnl-genl-3-dev
	libsystemd-dev libxxhash-dev lintian ninja-build nlohmann-json3-dev pkg-config systemtap-sdt-dev)

# "${ON_LAYER[@]}" BASE LAYER COMMAND...: with BASE and what LAYER adds to it mounted together on LAYER/root, in a
# namespace that ends with the command. The process becomes the command. As root.
# shellcheck disable=SC2016
ON_LAYER=(unshare --mount --propagation private bash -euc '
	mkdir -p "$2"/root "$2"/upper "$2"/work
	mount -t overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" overlay "$2/root"
	shift 2
	exec "$@"' on_layer)

# "${IN_ROOT[@]}" ROOT COMMAND...: with ROOT as its /, likewise.
# shellcheck disable=SC2016
IN_ROOT=(unshare --mount --propagation private bash -euc '
	root=$1
	shift
	mount --rbind /dev "$root/dev"
	mount -t proc proc "$root/proc"
	exec chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C \
		DEBIAN_FRONTEND=noninteractive INITRD=No DEB_BUILD_OPTIONS="${DEB_BUILD_OPTIONS:-}" "$@"' in_root)

in_layer() { "${ON_LAYER[@]}" "$1" "$2" "${IN_ROOT[@]}" "$2/root" "${@:3}"; } # BASE LAYER COMMAND...

APT_INSTALL=(apt-get -q -y --no-install-recommends -o APT::Sandbox::User=root install)

# once_made DIR CONTENT COMMAND...: unless the command has made DIR before with that content; what it leaves undone does not
# count.
once_made() {
	[ "$(cat "$1/.complete" 2>/dev/null)" != "$2" ] || return 0
	say "making ${1#"$REPO"/} (once)"
	rm -rf "$1"
	mkdir -p "$1"
	"${@:3}" "$1" >"$1.log" 2>&1 || {
		tail -n 20 "$1.log" >&2
		die "$1 could not be made"
	}
	echo "$2" >"$1/.complete"
}

fill_system() { # SUITE DIR
	PATH=$PATH:/usr/sbin debootstrap --variant=minbase --keyring="$DEBIAN_KEYRING" \
		--include="$SYSTEM_HAS" "$1" "$2" "$(debian_mirror)" &&
		"${IN_ROOT[@]}" "$2" "${APT_INSTALL[@]}" "${SYSTEM_KERNEL[@]}"
}

fill_builder() { in_layer "$SYSTEMS/$1" "$2" "${APT_INSTALL[@]}" "${BUILDER_HAS[@]}"; } # SUITE DIR

need_system() {
	require "${NEEDS_CHROOT[@]}"
	[ -e "$DEBIAN_KEYRING" ] || with_lock deps install_packages debian-archive-keyring
	with_lock "system-$1" once_made "$SYSTEMS/$1" "$SYSTEM_HAS ${SYSTEM_KERNEL[*]}" fill_system "$1"
	with_lock "system-$1" once_made "$SYSTEMS/$1-build" "${BUILDER_HAS[*]}" fill_builder "$1"
}

# package_kernel SUITE: the system's own, in the shape that the rig takes kernels in (fetch.sh). Prints its name.
package_kernel() {
	local dir=$KERNELS/system-$1 version
	version=$(basename "$SYSTEMS/$1"/usr/src/linux-headers-*-amd64)
	version=${version#linux-headers-}
	mkdir -p "$dir"
	ln -sfn "$SYSTEMS/$1" "$dir/root"
	ln -sfn "root/boot/vmlinuz-$version" "$dir/vmlinuz"
	echo "$version" >"$dir/version"
	echo "system-$1"
}

# --- the packages ---

# build_packages SUITE: from what git has at HEAD, on that system; leaves them in build/deb-SUITE.
build_packages() {
	local version archive layer=$SYSTEMS/$1-build built=$BUILD/deb-$1
	version=$(sed -n 's/^PACKAGE_VERSION="\(.*\)"/\1/p' "$REPO/dkms.conf")
	archive=$REPO/$("$REPO/packaging/dist" "$version")
	! cmp -s "$archive" "$built/vramswap_$version.orig.tar.gz" || return 0
	rm -rf "$layer/upper/src" "$built"
	mkdir -p "$layer/upper/src/build"
	cp -r "$REPO/packaging" "$layer/upper/src/"
	cp "$archive" "$layer/upper/src/build/"
	in_layer "$SYSTEMS/$1" "$layer" /src/packaging/deb "$version" || die "the packages for $1 were not built"
	cp -r "$layer/upper/src/build/deb" "$built"
}

# install_packages_on SUITE LAYER: over a fresh system, the packages by apt, and what a user would write down.
install_packages_on() {
	rm -rf "$2"
	mkdir -p "$2"/upper/{packages,etc,results}
	cp "$BUILD/deb-$1"/vramswap_*.deb "$BUILD/deb-$1"/vramswap-dkms_*.deb "$2/upper/packages/"
	in_layer "$SYSTEMS/$1" "$2" sh -c "${APT_INSTALL[*]} /packages/*.deb"
	rm -r "$2/upper/packages"
	cp -r "$VM_DIR/package/system/." "$2/upper/"
	in_layer "$SYSTEMS/$1" "$2" systemctl enable vramswap-test.service
}

# --- the tests ---

# boot_system SUITE LAYER SCRIPT LIMIT: boots; sets G_ENDED as boot_test does.
boot_system() {
	rm -rf "$G_DIR"
	mkdir -p "$G_DIR"
	G_ROOT=$2/root G_INIT=/sbin/init G_ARGS="systemd.show_status=0 vm_disk=/dev/vda" G_DISK=4G
	G_MEM=$(header "$3" memory 1G)
	cp "$3" "$VM_DIR/basics.sh" "$VM_DIR/package/lib.bash" "$(need_hog)" "$BUILD/deb-$1"/vramswap{,-dkms}_*.deb "$G_DIR/"
	printf '%s\n' "PATIENCE=$(patience "$G_KERNEL")" "TEST=$(basename "$3")" "HOG=$(basename "$(need_hog)")" >"$G_DIR/environment"
	build_qemu
	PATH=$PATH:/usr/sbin:/sbin mkfs.ext4 -q "$G_DIR/disk"
	QEMU+=(-serial "mon:stdio")
	add_heartbeat
	QEMU=("${ON_LAYER[@]}" "$SYSTEMS/$1" "$2" "${QEMU[@]}")
	G_ENDED=alone
	start_guest
	wait_guest "$4" || {
		G_ENDED=hung
		interrogate_guest
	}
	stop_guest
}

# need_hog: prints the path of a program that needs no library of the guest's.
need_hog() {
	local file
	file=$CACHE/watcher/hog-$(content_hash "$VM_DIR/package/hog.c")
	[ -e "$file" ] || {
		mkdir -p "$CACHE/watcher"
		gcc -O2 -Wall -Wextra -static -o "$file.new" "$VM_DIR/package/hog.c" && mv "$file.new" "$file"
	}
	echo "$file"
}

# judge_poweroff LOG LIMIT: from the test's last word to the kernel's, seconds of the guest's own clock.
judge_poweroff() {
	local took
	took=$(sed -nE 's/.*\[ *([0-9]+)\.[0-9]{6}\] .*(vramswap test: poweroff|reboot: Power down).*/\1/p' "$1" |
		awk 'NR == 1 { begun = $1 } END { print (NR == 2 ? $1 - begun : "") }')
	if [ -n "$took" ] && [ "$took" -le "$2" ]; then
		echo "ok powered off in $took s"
	else
		echo "FAIL it took ${took:-?} s to power off, at most $2"
	fi
}

# run_package_test SUITE LAYER SCRIPT: prints a line as run_test does.
run_package_test() {
	local name log start verdict reason limit
	name=$(basename "$3" .sh)
	guest_defaults
	G_KERNEL=$(package_kernel "$1")
	G_DIR=$RESULTS/package-$1/$name
	log=$RESULTS/package-$1/$name.log
	limit=$(($(header "$3" timeout 300) * $(patience "$G_KERNEL")))
	start=$EPOCHREALTIME
	boot_system "$1" "$2" "$3" "$limit"
	{
		clean_console "$G_DIR/console.raw"
		cat "$G_DIR/log" 2>/dev/null
	} >"$log"
	read -r verdict reason < <(judge_test "$log" "$G_ENDED" "$limit" "$(header "$3" allow-console)")
	[ "$verdict" != ok ] || read -r verdict reason < <(judge_poweroff "$log" $(($(header "$3" poweroff 20) * $(patience "$G_KERNEL"))))
	echo "$verdict" >"$G_DIR/verdict"
	rm -f "$G_DIR/disk"
	report "$1" "$name" "$(seconds_since "$start")" "$log" "$verdict" "$reason"
	[ "$verdict" = ok ]
}

# vm package [SUITE...]
cmd_package() {
	local suite script layer failed=0 passed=0
	[ "$(id -u)" -eq 0 ] || die "systems can only be made and mounted by root"
	require "${NEEDS_RUN[@]}"
	for suite in "${@:-trixie}"; do
		need_system "$suite"
		with_lock "packages-$suite" build_packages "$suite" >&2
		layer=$RESULTS/package-$suite/system
		mkdir -p "$RESULTS/package-$suite"
		install_packages_on "$suite" "$layer" >"$RESULTS/package-$suite/install.log" 2>&1 || {
			tail -n 20 "$RESULTS/package-$suite/install.log" >&2
			die "the packages were not installed on $suite"
		}
		for script in "$VM_DIR"/package/*.sh; do
			if run_package_test "$suite" "$layer" "$script"; then
				passed=$((passed + 1))
			else
				failed=$((failed + 1))
			fi
		done
	done
	echo "$passed passed, $failed failed"
	[ "$failed" -eq 0 ]
}
