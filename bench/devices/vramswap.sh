# shellcheck shell=bash disable=SC2154
# SPDX-License-Identifier: MIT
# vramswap:ENGINE, as it is without options. VRAMSWAP_KO: the module, where modprobe does not find it; VRAMSWAP_BIN: where
# the programs are.

bin=${VRAMSWAP_BIN:-$here/../build/bin}

load_vramswap() {
	[ ! -e /sys/module/vramswap ] || die "the module vramswap is loaded already"
	if [ -n "${VRAMSWAP_KO:-}" ]; then
		insmod "$VRAMSWAP_KO" devices=0
	else
		modprobe vramswap devices=0
	fi
}

device_up() {
	local device tries
	[ -x "$bin/vramswapd" ] || die "no $bin/vramswapd: make programs"
	[ -e "$root/.users-vramswap" ] || load_vramswap
	mkdir -p "$root/.users-vramswap"
	touch "$root/.users-vramswap/$full"
	device=$("$bin/vramswapctl" add)
	device=${device#/dev/}
	echo "$device" >"$state/device"
	serve "$bin/vramswapd" --config /dev/null --device "${device#vramswap}" --size "$1M" --engine "$variant"
	for ((tries = 0; tries < 600; tries++)); do
		[ "$(cat "/sys/block/$device/size")" = 0 ] || break
		server_lives || die "vramswapd ended: $(tail -n1 "$state/log")"
		sleep 0.1
	done
	echo "/dev/$device"
}

device_down() {
	unserve
	[ ! -e "$state/device" ] || "$bin/vramswapctl" delete "$(cat "$state/device")"
	unshare_module vramswap
}
