# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# What every test says and waits with, those of the packages included.

# say WORDS...: what a test has done or measured.
say() { printf '== %s\n' "$*"; }

# die MESSAGE...: fails the test.
die() {
	echo "die: $*" >&2
	exit 1
}

# assert_eq ACTUAL EXPECTED [WHAT]
assert_eq() {
	[ "$1" = "$2" ] || die "${3:-value}: got '$1', expected '$2'"
}

# wait_for COMMAND SECONDS: until the command, a string for eval, succeeds. Slow kernels get PATIENCE times as long.
wait_for() {
	local limit=$(($2 * PATIENCE)) end
	end=$((SECONDS + limit))
	until eval "$1"; do
		[ "$SECONDS" -lt "$end" ] || die "waited $limit s in vain for: $1"
		sleep 0.1
	done
}
