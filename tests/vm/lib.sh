# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# Sourced before every test script and by the shell of `vm shell`.

# shellcheck source=/dev/null
. "$VM_DIR/basics.sh"

# skip REASON...: ends the test without a verdict; a skip is not a pass.
skip() {
	echo "skip: $*"
	exit 77
}

# load_module [PARAM=VALUE]...
load_module() {
	local depends
	[ -e "$VRAMSWAP_KO" ] || die "no module at $VRAMSWAP_KO (vm build makes it)"
	depends=$(modinfo -F depends "$VRAMSWAP_KO")
	# shellcheck disable=SC2086
	[ -z "$depends" ] || modprobe -a ${depends//,/ }
	insmod "$VRAMSWAP_KO" "$@"
}

unload_module() { rmmod vramswap; }

# ivshmem_path: the memory of the device that "# ivshmem: SIZE" adds, as a file to mmap.
ivshmem_path() {
	local device
	for device in /sys/bus/pci/devices/*; do
		[ "$(cat "$device/vendor" "$device/device" | tr '\n' ' ')" = '0x1af4 0x1110 ' ] || continue
		echo 1 >"$device/enable"
		echo "$device/resource2"
		return
	done
	die "no ivshmem device: the test needs a line '# ivshmem: SIZE'"
}

# cg_run MEMORY_MAX COMMAND...: in a new cgroup with that memory.max.
cg_run() {
	local group status=0
	group=$(mktemp -d /sys/fs/cgroup/test-XXXXXX)
	echo "$1" >"$group/memory.max"
	shift
	(
		echo "$BASHPID" >"$group/cgroup.procs"
		exec "$@"
	) || status=$?
	rmdir "$group" 2>/dev/null || true
	return "$status"
}

# --- functions that tests share: add yours below -------------------------------------

SUPPORT=$(realpath "$VM_DIR/../support")

# at_least NUMBER COMMAND..., at_most NUMBER COMMAND...: what the command prints is such a number.
at_least() { [ "$("${@:2}")" -ge "$1" ]; }
at_most() { [ "$("${@:2}")" -le "$1" ]; }

# refused WORDS COMMAND...: the command must fail and say WORDS (a pattern for grep -i).
refused() {
	local words=$1 output
	shift
	if output=$("$@" 2>&1); then
		die "succeeded, but should have been refused: $*"
	fi
	grep -qiE -- "$words" <<<"$output" || die "'$*' was refused without the words '$words': $output"
	say "refused: $* -> $(tail -n1 <<<"$output")"
}

# --- the device, as vramswapctl and the kernel see it ---

# In an emulated guest the start of a program takes a tenth of a second, that of jq or awk a third: what tests look at
# again and again they look at without.

# field_of JSON FIELD: from one line of vramswapctl's, a number, a text or null. FIELD: keys with points between them.
field_of() {
	local rest=$1 key
	for key in ${2//./ }; do
		[[ $rest == *"\"$key\":"* ]] || die "no '$2' in: $1"
		rest=${rest#*"\"$key\":"}
	done
	if [[ $rest == \"* ]]; then
		rest=${rest#\"}
		echo "${rest%%\"*}"
	else
		echo "${rest%%[,\}]*}"
	fi
}

# status_of FIELD [DEVICE]
status_of() {
	local json
	json=$(vramswapctl status "${2:-0}" --json) || return
	field_of "$json" "$1"
}

# stat_of FIELD [DEVICE]: e.g. operations.read.bytes, summed over all queues.
stat_of() {
	local json
	json=$(vramswapctl stats "${2:-0}" --json) || return
	field_of "$json" "$1"
}

# wait_state STATE [DEVICE [SECONDS]]
wait_state() { wait_for "[ \"\$(status_of state ${2:-0})\" = $1 ]" "${3:-20}"; }

vmstat_of() {
	local text
	IFS= read -r -d '' text </proc/vmstat || true
	[[ $text == *$'\n'"$1 "* ]] || die "no '$1' in /proc/vmstat"
	text=${text#*$'\n'"$1 "}
	echo "${text%%$'\n'*}"
}

# --- helpers, each under a service manager of its own ---

# start_helper DEVICE SIZE [ARGUMENT...]: until the device is live. A helper that dies is started again. HELPER: what to
# start instead of vramswapd.
start_helper() {
	local device=$1 size=$2 dir=/run/helper-$1
	shift 2
	mkdir -p "$dir"
	trap 'show_helpers $?' EXIT
	# The host's own GPU, if it has one, is no business of tests.
	[[ " $* " == *" --engine "* ]] || set -- --engine host "$@"
	"$SUPPORT/service_manager.py" "$dir" --restart 0.1 -- "${HELPER:-vramswapd}" --device "$device" \
		--size "$size" "$@" &
	echo $! >"$dir/manager"
	wait_helper "$device" ready
	assert_eq "$(status_of state "$device")" live "state of vramswap$device"
}

# helper_says DEVICE KEY: a line of the service manager's state (service_manager.py tells which there are).
helper_says() {
	local key value
	while IFS='=' read -r key value; do
		[ "$key" != "$2" ] || echo "$value"
	done 2>/dev/null <"/run/helper-$1/state" || true
}

# wait_helper DEVICE STATE [SECONDS]
wait_helper() { wait_for "[ \"\$(helper_says $1 state)\" = $2 ]" "${3:-60}"; }

# tell_helper DEVICE COMMAND...: a command for its service manager; returns when it was carried out.
tell_helper() {
	local device=$1 before
	shift
	before=$(helper_says "$device" commands)
	echo "$*" >"/run/helper-$device/control"
	wait_for "at_least $((before + 1)) helper_says $device commands" 20
}

# worker_of DEVICE: the process that serves it. (The service manager knows only the keeper.)
worker_of() { status_of helper_pid "$1"; }

# wait_other_worker DEVICE PID [SECONDS]: until another worker than that serves the device.
wait_other_worker() {
	wait_for "[ \"\$(worker_of $1)\" != $2 ] && [ \"\$(status_of state $1)\" = live ]" "${3:-30}"
}

# kill_worker DEVICE [SIGNAL]: until its keeper has started another that serves the device.
kill_worker() {
	local pid
	pid=$(worker_of "$1")
	kill "-${2:-KILL}" "$pid"
	wait_other_worker "$1" "$pid"
}

# kill_helper DEVICE: SIGKILL for keeper and worker, until they are gone and their service manager knows.
kill_helper() {
	local pid
	pid=$(helper_says "$1" pid)
	tell_helper "$1" kill
	wait_for "[ ! -d /proc/$pid ] && [ \"\$(helper_says $1 pid)\" != $pid ]" 20
}

# stop_helper DEVICE: in good order, and its service manager too.
stop_helper() {
	tell_helper "$1" stop
	wait_helper "$1" down
	assert_eq "$(helper_says "$1" exit)" 0 "exit status of vramswapd"
	assert_eq "$(status_of state "$1")" empty "state of vramswap$1"
	echo quit >"/run/helper-$1/control"
	wait_for "! grep -q service_manager /proc/$(cat "/run/helper-$1/manager")/cmdline 2>/dev/null" 20
}

# show_helpers STATUS: when a test ends badly, what its helpers had to say.
show_helpers() {
	local log
	[ "$1" -ne 0 ] && [ "$1" -ne 77 ] || return 0
	for log in /run/helper-*/log; do
		[ -e "$log" ] || continue
		echo "--- $log"
		tail -n 30 "$log"
		cat "${log%log}state"
	done
}

# --- memory ---

# Free pages, KiB; those that a CPU keeps for itself (tens of MiB here) are not in MemFree.
free_memory() { awk '/ nr_free_pages | count:/ { pages += $2 } END { print pages * 4 }' /proc/zoneinfo; }

# settle_memory: until free_memory means something.
settle_memory() {
	sync
	echo 3 >/proc/sys/vm/drop_caches
	sleep 2 # the kernel frees modules, queues and per-CPU memory later, and tells nobody when it is done
	cat /proc/sys/vm/stat_refresh
}

# --- swap ---

swap_on() {
	mkswap /dev/vramswap0 >/dev/null
	swapon --discard --priority 100 /dev/vramswap0
}

# no_readahead: as is right for a device that finds any page as fast as the next. (The other tests swap with it.)
no_readahead() { echo 0 >/proc/sys/vm/page-cluster; }

# swap_counts: pages out and in, as the swap code counts them when it hands them on.
swap_counts() { echo "$(vmstat_of pswpout) $(vmstat_of pswpin)"; }

# take_counters FILE: bytes and requests as the swap code, the block layer and the ring count them, in lines
# NAME NUMBER. Taken anew until nothing was swapped meanwhile, this shell itself included, and no I/O was under way.
take_counters() {
	local tries=100 swapped stats disk
	until
		swapped=$(swap_counts)
		wait_for "at_most 0 stat_of inflight" 30
		stats=$(vramswapctl stats 0 --json)
		read -ra disk </sys/block/vramswap0/stat
		[ "$(swap_counts)" = "$swapped" ]
	do
		[ $((tries -= 1)) -gt 0 ] || die "pages are swapped all the time"
	done
	{
		echo "swap_out $((${swapped% *} * 4096))"
		echo "swap_in $((${swapped#* } * 4096))"
		echo "disk_reads ${disk[0]}"
		echo "disk_in $((disk[2] * 512))"
		echo "disk_writes ${disk[4]}"
		echo "disk_out $((disk[6] * 512))"
		jq -r '.operations | "ring_reads \(.read.requests)", "ring_in \(.read.bytes)",
			"ring_writes \(.write.requests)", "ring_out \(.write.bytes)",
			"errors \([.[].errors] | add)"' <<<"$stats"
	} >"$1"
}

# moved BEFORE AFTER NAME: by how much a counter has grown.
moved() { echo $(($(sed -n "s/^$3 //p" "$2") - $(sed -n "s/^$3 //p" "$1"))); }

# counters_agree BEFORE AFTER MIB: between two takings all pages that were swapped crossed the ring, at least so many
# MiB each way, and nothing else did.
counters_agree() {
	local way swapped disk ring disk_requests ring_requests
	for way in out:writes in:reads; do
		swapped=$(moved "$1" "$2" "swap_${way%:*}")
		disk=$(moved "$1" "$2" "disk_${way%:*}")
		ring=$(moved "$1" "$2" "ring_${way%:*}")
		disk_requests=$(moved "$1" "$2" "disk_${way#*:}")
		ring_requests=$(moved "$1" "$2" "ring_${way#*:}")
		say "${way%:*}: $swapped bytes swapped, $disk bytes in $disk_requests block requests," \
			"$ring bytes in $ring_requests ring requests"
		assert_eq "$disk" "$ring" "bytes ${way%:*}, block layer against ring"
		assert_eq "$disk_requests" "$ring_requests" "${way#*:}, block layer against ring"
		assert_eq "$swapped" "$ring" "bytes ${way%:*}, vmstat against ring"
		[ $((swapped >> 20)) -ge "$3" ] || die "less than $3 MiB were swapped ${way%:*}"
	done
	assert_eq "$(moved "$1" "$2" errors)" 0 "failed requests"
}

# nothing_wrong JSON: the last line of swap_torture tells of no wrong and no lost page.
nothing_wrong() {
	say "torture: $(tail -n1 "$1")"
	assert_eq "$(tail -n1 "$1" | jq '.wrong + .lost')" 0 "wrong and lost pages"
}

# start_torture MEMORY_MAX ARGUMENT...: swap_torture in the background, in a cgroup with that memory.max. Sets torture,
# its job, and torture_pid.
start_torture() {
	local memory_max=$1
	shift
	rm -f torture.pid
	cg_run "$memory_max" sh -c 'echo $$ >torture.pid; exec swap_torture "$@" --json' sh "$@" \
		>torture.json 2>torture.log &
	torture=$!
	wait_for "[ -s torture.pid ]" 20
	torture_pid=$(cat torture.pid) # now: if swap is lost, the file's page may be among what is
}

# torture_lost_nothing: ends it. Every page was right each time, and is now.
torture_lost_nothing() {
	local status=0
	kill -TERM "$torture_pid"
	wait "$torture" || status=$?
	[ "$status" -eq 0 ] || die "swap_torture: $status, $(tail -n 3 torture.log)"
	nothing_wrong torture.json
}

# torture_lost_pages: ends it, after the contents of the device were lost. It must have noticed.
torture_lost_pages() {
	local status=0
	kill -TERM "$torture_pid" || true # it looks at all its pages once more
	wait "$torture" || status=$?
	say "swap_torture: status $status, $(cat torture.json)"
	# 3: pages were lost; 4: a worker was killed by the kernel for one. Anything else would be silence about it.
	[ "$status" -eq 3 ] || [ "$status" -eq 4 ] || die "swap_torture did not notice: status $status"
	assert_eq "$(jq .wrong torture.json)" 0 "wrong pages"
}
