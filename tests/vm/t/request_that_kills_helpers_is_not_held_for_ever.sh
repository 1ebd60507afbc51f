# SPDX-License-Identifier: MIT
# A request of which one worker dies after the other is held for as long as the hold time says, all times without a
# worker together, and no longer; one that a later worker answers is as good as any.
# memory: 1G
# shellcheck shell=bash

load_module
mkdir -p /run/helper-0

say "a worker that dies is followed by one that does not"
export VRAMSWAP_DIE_AT=engine_submit:1 VRAMSWAP_DIE_MARK=$PWD/mark
HELPER=vramswapd_mortal start_helper 0 64M
dd if=/dev/urandom of=/dev/vramswap0 bs=4k count=1 oflag=direct status=none
assert_eq "$(grep -c 'kept for the next' /run/helper-0/log)" 1 "deaths of a worker"
stop_helper 0
wait_for "! pgrep -f service_manager.py >/dev/null" 20

say "every worker dies of its first request"
unset VRAMSWAP_DIE_MARK
rm /run/helper-0/log
HELPER=vramswapd_mortal start_helper 0 64M
# Longer than the keeper ever waits before it starts the next, so that none but the request's own time ends it.
hold=$((10 * PATIENCE))
vramswapctl set 0 --hold-timeout $hold
cookie=$(status_of cookie)
start=$SECONDS
(refused 'input/output error' dd if=/dev/urandom of=/dev/vramswap0 bs=4k count=1 oflag=direct status=none
	touch refused) &
wait_for "[ -e refused ]" 30
say "failed after $((SECONDS - start)) s and $(grep -c 'kept for the next' /run/helper-0/log) workers"
[ $((SECONDS - start)) -ge $((hold - 1)) ] || die "the request was given up too early"
[ "$(grep -c 'kept for the next' /run/helper-0/log)" -ge 2 ] || die "fewer than two workers have tried"
# Nobody uses them, so a worker may begin with new contents.
[ "$(status_of cookie)" != "$cookie" ] || die "the contents were not given up"
