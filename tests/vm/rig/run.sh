# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# vm run: one guest for each test and kernel, judged by exit status and console.
#
# shellcheck disable=SC2034 # the G_ variables are for guest.sh

TEST_DIR=$(realpath "${VRAMSWAP_VM_TESTS:-$VM_DIR/t}")
VRAMSWAP_BIN=${VRAMSWAP_BIN:-$BUILD/bin}
RESULTS=$(realpath -m "${VRAMSWAP_VM_RESULTS:-$BUILD/vm}")
TAIL_LINES=30
EMULATOR_RETRIES=3

# header FILE KEY [DEFAULT]: the value in a test's "# KEY: value" line.
header() {
	local value
	value=$(sed -nE "1,/^[^#]/s/^# $2: *(.*[^ ]) *\$/\1/p" "$1" | head -n1)
	echo "${value:-${3:-}}"
}

test_file() {
	local name=${1##*/}
	echo "$TEST_DIR/${name%.sh}.sh"
}

all_tests() {
	local file
	for file in "$TEST_DIR"/*.sh; do
		basename "$file" .sh
	done
}

# settings FILE: NAME=VALUE of each "# setting: NAME DEFAULT" line; the caller's environment says it better.
settings() {
	local name value
	while read -r name value; do
		echo "$name=${!name:-$value}"
	done < <(sed -nE '1,/^[^#]/s/^# setting: *//p' "$1")
}

# test_limit FILE KERNEL: seconds until it counts as hung. How long it works by its settings comes on top.
test_limit() {
	local setting limit
	limit=$(($(header "$1" timeout 180) * $(patience "$2")))
	while read -r setting; do
		[[ $setting != *_SECONDS=* ]] || limit=$((limit + ${setting#*=}))
	done < <(settings "$1")
	echo "$limit"
}

# --- one test ---

prepare_test() {
	local file=$1 settings setting
	G_MEM=$(header "$file" memory 1G)
	G_SMP=$(header "$file" smp 2)
	G_IVSHMEM=$(header "$file" ivshmem)
	G_ARGS=$(header "$file" kernel-args)
	G_FLAVOUR=$(flavour "$G_KERNEL" "$file")
	mapfile -t settings < <(settings "$file")
	for setting in "${settings[@]}"; do
		[[ $setting != GUEST_MEMORY=* ]] || G_MEM=${setting#*=}
	done
	write_job test JOB_SCRIPT="$file" "${settings[@]/#/export }"
	build_qemu
	QEMU+=(-serial "mon:stdio")
	add_heartbeat
}

# judge_test LOG ENDED LIMIT ALLOWED: prints "VERDICT reason".
judge_test() {
	local log=$1 status trouble
	status=$(cat "$G_DIR/status" 2>/dev/null) || true
	trouble=$(kernel_trouble "$log" "$4" | head -n1) || true
	if [ "$2" = hung ]; then
		echo "FAIL hung: killed after $3 s, last heartbeat: $(tail -n1 "$G_DIR/heartbeat" | tr -d '\r')"
	elif [ -n "$trouble" ]; then
		echo "FAIL kernel: $trouble"
	elif ! ended_orderly "$log"; then
		echo "FAIL the guest did not power off in an orderly way"
	elif [ "$status" = 77 ]; then
		echo "skip $(sed -nE 's/^skip: //p' "$log" | tail -n1)"
	elif [ "$status" != 0 ]; then
		echo "FAIL exit status $status, $(sed -nE 's/^die: //p' "$log" | head -n1)"
	else
		echo ok
	fi
}

show_failure() {
	local log=$1
	printf '    | %s\n' "--- last lines of $log"
	tail -n "$TAIL_LINES" "$log" | sed 's/^/    | /'
}

# report KERNEL NAME SECONDS LOG VERDICT REASON: in one write, whole lines stay whole.
report() {
	local text
	text=$(printf '%-4s  %-6s  %-28s  %5s' "$5" "$1" "$2" "$3")
	[ -z "$6" ] || text+="  $6"
	[ "$5" != FAIL ] || text+=$'\n'$(show_failure "$4")
	printf '%s\n' "$text"
}

# boot_test LOG FILE LIMIT: boots and waits; sets G_ENDED to alone or hung.
boot_test() {
	rm -rf "$G_DIR" "$1"
	mkdir -p "$G_DIR"
	prepare_test "$2"
	G_ENDED=alone
	start_guest
	wait_guest "$3" || {
		G_ENDED=hung
		interrogate_guest
	}
	stop_guest
	clean_console "$G_DIR/console.raw" >"$1"
	rm "$G_DIR/console.raw"
}

# run_test KERNEL NAME ACCELERATOR: boots, judges, reports; leaves the verdict in the guest's folder.
# What the emulator itself broke says nothing about the test, and is run again.
run_test() {
	local kernel=$1 name=$2 file limit log start verdict reason allowed again=$EMULATOR_RETRIES
	file=$(test_file "$name")
	limit=$(test_limit "$file" "$kernel")
	log=$RESULTS/$kernel/$name.log
	guest_defaults
	G_KERNEL=$kernel G_DIR=$RESULTS/$kernel/$name G_ACCEL=$3
	allowed=$(header "$file" allow-console)
	start=$EPOCHREALTIME
	boot_test "$log" "$file" "$limit"
	while [ "$again" -gt 0 ] && emulator_fault "$log" "$allowed"; do
		again=$((again - 1))
		cp "$log" "$RESULTS/$kernel/$name.emulator-fault.log"
		boot_test "$log" "$file" "$limit"
	done
	read -r verdict reason < <(judge_test "$log" "$G_ENDED" "$limit" "$allowed")
	[ "$again" -eq "$EMULATOR_RETRIES" ] || reason+=" (run again after an emulator fault)"
	echo "$verdict" >"$G_DIR/verdict"
	report "$kernel" "$name" "$(seconds_since "$start")" "$log" "$verdict" "$reason"
}

seconds_since() {
	local us=$((${EPOCHREALTIME/./} - ${1/./}))
	printf '%d.%d\n' $((us / 1000000)) $((us / 100000 % 10))
}

# A process of its own for each test: whatever ends it takes the guest along.
run_test_job() {
	trap stop_guest EXIT
	trap 'exit 143' TERM
	with_lock "run-$1-$2" run_test "$@"
}

# --- many tests ---

runs_on() {
	local kernels
	kernels=" $(header "$(test_file "$2")" kernels "$1") "
	[[ $kernels == *" $1 "* ]]
}

# is_parallel NAME: what it proves needs processors that run at the same time.
is_parallel() { [ "$(header "$(test_file "$1")" parallel no)" = yes ]; }

# longest_first "KERNEL NAME"...: so that no long test runs alone at the end.
longest_first() {
	local pair
	for pair in "$@"; do
		printf '%s %s\n' "$(header "$(test_file "${pair#* }")" timeout 180)" "$pair"
	done | sort -s -k1,1nr | cut -d' ' -f2-
}

# run_all JOBS "KERNEL NAME"...: several at a time have their processors take turns in one thread each, if the host has
# too few for all: a guest whose threads wait for the host's processors, and for each other, takes three times as long.
# Those that need processors of their own are run one after the other then.
run_all() {
	local jobs=$1 pair alone=() rest=() accel=tcg
	shift
	[ -n "${VRAMSWAP_VM_ACCEL:-}" ] || [ "$jobs" -eq 1 ] || [ $((jobs * 2)) -le "$(nproc)" ] || accel=tcg-single
	for pair in "$@"; do
		if [ "$accel" = tcg-single ] && is_parallel "${pair#* }"; then
			alone+=("$pair")
		else
			rest+=("$pair")
		fi
	done
	run_some 1 tcg "${alone[@]}"
	run_some "$jobs" "$accel" "${rest[@]}"
}

# run_some JOBS ACCELERATOR "KERNEL NAME"...
run_some() {
	local jobs=$1 accel=$2 pair running=0
	shift 2
	trap 'kill $(jobs -p) 2>/dev/null' EXIT
	trap 'exit 130' INT TERM
	for pair in "$@"; do
		if [ "$running" -ge "$jobs" ]; then
			wait -n || true
			running=$((running - 1))
		fi
		# shellcheck disable=SC2086
		run_test_job $pair "$accel" &
		running=$((running + 1))
	done
	wait
	trap - EXIT INT TERM
}

# A test whose process left no verdict counts as failed.
sum_up() {
	local pair verdict passed=0 failed=0 skipped=0 text
	for pair in "$@"; do
		verdict=$(cat "$RESULTS/${pair% *}/${pair#* }/verdict" 2>/dev/null) || true
		case $verdict in
		ok) passed=$((passed + 1)) ;;
		skip) skipped=$((skipped + 1)) ;;
		*) failed=$((failed + 1)) ;;
		esac
	done
	text="$passed passed, $failed failed"
	[ "$skipped" -eq 0 ] || text+=", $skipped skipped"
	echo "$text"
	[ "$failed" -eq 0 ]
}

# add_pair KERNEL NAME: to the pairs and modules of cmd_run, if the test is for that kernel.
add_pair() {
	local name
	name=$(basename "$2" .sh)
	[ -e "$(test_file "$name")" ] || die "no test '$name' in $TEST_DIR"
	runs_on "$1" "$name" || return 0
	modules["$1 $(flavour "$1" "$(test_file "$name")")"]=1
	rm -f "$RESULTS/$1/$name/verdict"
	pairs+=("$1 $name")
}

cmd_run() {
	local kernels=() jobs=1 option OPTIND=1 kernel name module pairs=() names=() single=()
	local -A modules=()
	while getopts k:j: option; do
		case $option in
		k) kernels+=("$OPTARG") ;;
		j) jobs=$OPTARG ;;
		*) usage ;;
		esac
	done
	shift $((OPTIND - 1))
	require "${NEEDS_RUN[@]}"
	for name in "$@"; do
		if [[ $name == *:* ]]; then single+=("$name"); else names+=("$name"); fi
	done
	[ "${#kernels[@]}" -gt 0 ] || { [ "${#names[@]}" -eq 0 ] && [ "${#single[@]}" -gt 0 ]; } || mapfile -t kernels < <(default_kernels)
	[ "${#names[@]}" -gt 0 ] || mapfile -t names < <(all_tests)
	for kernel in "${kernels[@]}"; do
		need_kernel "$kernel"
		for name in "${names[@]}"; do add_pair "$kernel" "$name"; done
	done
	for name in "${single[@]}"; do
		need_kernel "${name%%:*}"
		add_pair "${name%%:*}" "${name#*:}"
	done
	for module in "${!modules[@]}"; do
		need_module "${module% *}" "${module#* }"
	done
	mapfile -t pairs < <(longest_first "${pairs[@]}")
	run_all "$jobs" "${pairs[@]}"
	sum_up "${pairs[@]}"
}
