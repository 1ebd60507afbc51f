# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# For the tests in this folder, which run as root in a system with systemd, with the packages installed. A test ends
# with power_off; its first comment lines are as those of ../t, and `poweroff: SECONDS` says how long that may take.

trap '[ "$BASH_SUBSHELL" -gt 0 ] || echo "die: line $LINENO: $BASH_COMMAND" >&2' ERR

# shellcheck source=/dev/null
. /results/basics.sh

property() { systemctl show --property="$1" --value "${2:-vramswap@0.service}"; }

# swap_is PRIORITY: is the device in use as swap, with that priority?
swap_is() { grep -qE "^/dev/vramswap0\s+\S+\s+[0-9]+\s+[0-9]+\s+$1\$" /proc/swaps; }
swap_is_on() { grep -q '^/dev/vramswap0\s' /proc/swaps; }

# pages_out: on the device, MiB.
pages_out() {
	local name used
	while read -r name _ _ used _; do
		[ "$name" != /dev/vramswap0 ] || echo $((used / 1024))
	done </proc/swaps
}

pages_are_out() { [ "$(pages_out)" -ge "$1" ]; } # MIB

# hog NAME MIB [PROPERTY=VALUE]...: a service that holds so much memory and looks at all of it all the time.
hog() {
	local settings=("${@:3}")
	systemd-run --quiet --unit="$1" "${settings[@]/#/--property=}" --property="StandardOutput=file:/run/$1.log" \
		"/results/$HOG" "$2"
}

rounds() { grep -c round "/run/$1.log" || true; }

# verified NAME: it has looked at all of its memory once more, and still does.
verified() {
	local before
	before=$(rounds "$1")
	wait_for "[ \"\$(rounds $1)\" -gt $((before + 1)) ] || ! systemctl is-active --quiet $1" 120
	systemctl is-active --quiet "$1" || die "$1 has ended: $(tail -n1 "/run/$1.log")"
}

# install_again PACKAGE...: from the files that the system was made with.
install_again() {
	local name files=()
	for name; do files+=("/results/${name}_"*.deb); done
	apt-get -q -y --no-install-recommends -o APT::Sandbox::User=root --reinstall install "${files[@]}"
}

# power_off: the test has passed, if the machine now ends in good order.
power_off() {
	journalctl -b --no-pager >/results/journal
	echo 0 >/results/status
	echo "<4>vramswap test: poweroff" >/dev/kmsg
	systemctl poweroff
}
