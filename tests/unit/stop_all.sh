#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# packaging/libexec/stop-all and sleep, with a systemctl and a vramswapctl that do as they are told.
set -euo pipefail

scripts=$(dirname "$(realpath "$0")")/../../packaging/libexec
dir=$(mktemp -d)
trap 'rm -r "$dir"' EXIT
cd "$dir"
mkdir bin libexec
export PATH=$dir/bin:$PATH

# Lists the units of the file units that are in a state asked for, and records what else it is told.
cat >bin/systemctl <<'SH'
#!/bin/sh
[ "$1" = list-units ] || { echo "systemctl $*" >>calls; exit; }
states=$(printf '%s\n' "$@" | sed -n 's/^--state=//p')
while read -r unit state; do
	case ,$states, in *",$state,"*) echo "$unit loaded $state some GPU memory as swap" ;; esac
done <units
SH
# Refuses what the file refused names.
cat >bin/vramswapctl <<'SH'
#!/bin/sh
echo "vramswapctl $*" >>calls
! grep -qx "$2" refused || { echo "vramswapctl: vramswap$2 holds 1G" >&2; exit 5; }
SH
echo '#!/bin/sh
echo "wall $*" >>calls' >bin/wall
chmod +x bin/*
sed "s,=/run/,=$dir/," "$scripts/sleep" >libexec/sleep
cp "$scripts/stop-all" libexec

# expect WHAT ACTUAL EXPECTED
expect() {
	[ "$2" = "$3" ] || {
		printf '%s: got\n%s\nexpected\n%s\n' "$@"
		exit 1
	}
}

# machine REFUSED UNIT...: devices whose stop is refused, and the units as NUMBER:STATE.
machine() {
	local unit
	: >calls
	echo "$1" >refused
	for unit in "${@:2}"; do echo "vramswap@${unit%:*}.service ${unit#*:}"; done >units
}

# run COMMAND...: sets status, said and the calls made.
run() {
	status=0
	said=$("$@" 2>errors) || status=$?
	calls=$(cat calls)
}

unit() { printf 'vramswap@%s.service' "$1"; }

machine none
run sh libexec/stop-all
expect "no unit" "$status $said $calls" "0  "

machine none 0:active 1:failed 2:activating 3:reloading 4:deactivating 5:inactive
run sh libexec/stop-all
expect "all stopped" "$status" 0
expect "to be started again" "$said" "$(unit 0)"$'\n'"$(unit 2)"$'\n'"$(unit 3)"
expect "calls" "$calls" "$(printf 'vramswapctl stop %s\n' 0 2 3 4)"

machine 3 0:active 1:deactivating 2:active 3:active 4:active
run sh libexec/stop-all
expect "refused" "$status $(cat errors)" "5 vramswapctl: vramswap3 holds 1G"
expect "calls" "$calls" "$(printf 'vramswapctl stop %s\n' 0 1 2 3)
systemctl --no-block start $(unit 0) $(unit 2)"

machine 0 0:deactivating 1:active
run sh libexec/stop-all
expect "a stop that waits" "$status $calls" "5 vramswapctl stop 0"

machine none 0:active 1:deactivating
run sh libexec/sleep before
expect "sleep" "$status $said$(cat errors)" "0 "
machine none
run sh libexec/sleep after
expect "awake" "$status $calls" "0 systemctl --no-block start $(unit 0)"
machine none
run sh libexec/sleep after
expect "nothing to start" "$status $calls" "0 "

machine none
run sh libexec/sleep before
run sh libexec/sleep after
expect "sleep without a device" "$status $calls" "0 "

machine 1 0:active 1:active
run sh libexec/sleep before
expect "stays awake" "$status" 1
grep -q 'does not go to sleep.*: vramswap1 holds 1G' errors
grep -q 'wall .*: vramswap1 holds 1G' calls
