# SPDX-License-Identifier: MIT
# The helper's worker dies again and again while programs swap and verify: by SIGKILL, by a crash, by the OOM killer, in
# the middle of a batch, once more while it starts, together with its keeper, and always with others that want the device.
# Its successors lose nothing and nobody else dies.
# memory: 1G
# ivshmem: 256M
# timeout: 200
# setting: KILLS 20
# setting: KILLS_SECONDS 100
# allow-console: Call Trace:
# parallel: yes
# module: faults
# shellcheck shell=bash

declare -A says

# Looking must not cost more than the kills: nothing here starts a process.
pause() { read -rt "$1" <>pause || true; }
look() {
	local lines line
	mapfile -t lines </run/helper-0/state
	for line in "${lines[@]}"; do says[${line%%=*}]=${line#*=}; done
}
# until_state STATE: of the service.
until_state() {
	local end=$((SECONDS + 60 * PATIENCE))
	look
	while [ "${says[state]}" != "$1" ]; do
		[ "$SECONDS" -lt "$end" ] || die "the helper is ${says[state]}, not $1: ${says[status]}"
		pause 0.02
		look
	done
}
# until_moved SECTORS: until the disk has read so many sectors more.
until_moved() {
	local disk end=$((SECONDS + 60 * PATIENCE)) wanted
	read -ra disk </sys/block/vramswap0/stat
	wanted=$((disk[2] + $1))
	while [ "${disk[2]}" -lt "$wanted" ]; do
		[ "$SECONDS" -lt "$end" ] || die "no I/O"
		pause 0.02
		read -ra disk </sys/block/vramswap0/stat
	done
}
# until_other_worker PID: until the keeper has another worker than that.
until_other_worker() {
	local end=$((SECONDS + 60 * PATIENCE)) children
	worker=$1
	while [ "$worker" = "$1" ] || [ -z "$worker" ]; do
		[ "$SECONDS" -lt "$end" ] || die "no worker is started again"
		pause 0.02
		look
		# The oldest of the keeper's children writes its log; the file has no end of line.
		read -ra children </proc/"${says[pid]}/task/${says[pid]}/children" || true
		worker=${children[1]:-}
	done
}

# until_new_keeper PID: until the service manager has started another than that.
until_new_keeper() {
	local end=$((SECONDS + 60 * PATIENCE))
	look
	while [ "${says[pid]}" = "$1" ] || [ "${says[pid]}" = 0 ]; do
		[ "$SECONDS" -lt "$end" ] || die "the helper is not started again: ${says[state]}"
		pause 0.02
		look
	done
}

# by_oom PID: the OOM killer is called, and finds nobody whom it would rather kill.
by_oom() {
	echo 1000 >"/proc/$1/oom_score_adj"
	echo f >/proc/sysrq-trigger
}

# in_batch: the module ends the worker itself, with a batch half submitted, half answered or half believed.
batch_steps=(die_submit die_enter die_claimed die_ended)
in_batch() { echo "${batch_steps[RANDOM % 4]}=1+$((RANDOM % 200))" >/sys/module/vramswap/parameters/faults; }

mkfifo pause
load_module
start_helper 0 256M --store "$(ivshmem_path)"
cookie=$(status_of cookie)
# Shorter than the guest will have been up, longer than any one request should have to wait.
vramswapctl set 0 --hold-timeout $((20 * PATIENCE))
swap_on
no_readahead
start_torture 96M --size 192M --procs 2 --passes 100000
(while [ ! -e over ]; do
	status=0
	timeout 60 vramswapd --device 0 --size 64M || status=$?
	case $status in 1 | 78) ;; *) echo $status >intruded ;; esac # it is in the way of another, or nothing vouches for it
	sleep 1
done) >>intruder.log 2>&1 &
intruder=$!

ways=(KILL SEGV batch twice keeper oom ABRT)
declare -A killed
for i in $(seq 0 $((KILLS - 1))); do
	way=${ways[i % ${#ways[@]}]}
	until_state ready
	until_other_worker 0
	until_moved $((RANDOM % 4096))
	pid=$worker
	case $way in
	keeper)
		pid=${says[pid]}
		kill -KILL "$pid"
		until_new_keeper "$pid"
		;;
	oom) by_oom "$pid" ;;
	batch) in_batch ;;
	twice)
		kill -KILL "$pid"
		until_other_worker "$pid"
		pause 0.0$((RANDOM % 100))
		pid=$worker
		kill -KILL "$pid" 2>/dev/null || true
		;;
	*) kill "-$way" "$pid" ;;
	esac
	[ "$way" = keeper ] || until_other_worker "$pid"
	killed[$way]=$((${killed[$way]:-0} + 1))
	[ $((i % 50)) -ne 49 ] || say "killed $((i + 1)) times in $SECONDS s; $(tail -n1 torture.log)"
done
until_state ready
touch over
wait $intruder
[ ! -e intruded ] || die "another helper was not refused: status $(cat intruded), $(tail intruder.log)"
[ -s intruder.log ] || die "nobody else tried"

torture_lost_nothing
# The keeper has seen every death but those that came with its own.
wanted=$((${killed[KILL]:-0} + ${killed[SEGV]:-0} + ${killed[ABRT]:-0} + ${killed[oom]:-0} + ${killed[batch]:-0} + 2 * ${killed[twice]:-0}))
at_least "$wanted" grep -c 'kept for the next' /run/helper-0/log || die "fewer workers died than were killed: $wanted"
say "$(for way in "${!killed[@]}"; do echo -n "$way: ${killed[$way]} times, "; done)$((says[starts] - 1)) keepers killed," \
	"$(stat_of replayed) requests sent again, $(wc -l <intruder.log) lines said by others"
assert_eq "$(status_of cookie)" "$cookie" "name of the contents"
assert_eq "$(stat_of operations.write.errors)" 0 "failed writes"
assert_eq "$(stat_of operations.read.errors)" 0 "failed reads"
assert_eq "$(vmstat_of oom_kill)" "${killed[oom]:-0}" "kills by the OOM killer"
swapoff /dev/vramswap0
stop_helper 0
unload_module
