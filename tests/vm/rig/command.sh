# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# vm exec and vm shell: a guest for one command, or for a person.
#
# shellcheck disable=SC2034 # the G_ variables are for guest.sh

# guest_options ARGUMENT...: -k KERNEL, -m MEM, -t SECONDS, -a ARGUMENTS for the kernel, -d SIZE of a disk; sets OPTIND.
guest_options() {
	local option
	guest_defaults
	G_LIMIT=600
	while getopts k:m:t:a:d: option; do
		case $option in
		k) G_KERNEL=$OPTARG ;;
		m) G_MEM=$OPTARG ;;
		t) G_LIMIT=$OPTARG ;;
		a) G_ARGS=$OPTARG ;;
		d) G_DISK=$OPTARG ;;
		*) usage ;;
		esac
	done
	[ -n "$G_KERNEL" ] || G_KERNEL=$(default_kernels | tail -n1)
	require "${NEEDS_RUN[@]}"
	need_kernel "$G_KERNEL"
	need_module "$G_KERNEL"
	mkdir -p "$RESULTS"
	G_DIR=$(mktemp -d "$RESULTS/.guest-XXXXXX")
	trap 'stop_guest; rm -rf "$G_DIR"' EXIT
	trap 'exit 130' INT TERM
}

cmd_shell() {
	local OPTIND=1 rows=24 columns=80
	guest_options "$@"
	[ ! -t 0 ] || read -r rows columns < <(stty size)
	write_job shell JOB_TERM="${TERM:-dumb}" JOB_ROWS="$rows" JOB_COLUMNS="$columns"
	build_qemu
	QEMU+=(-serial "mon:stdio")
	add_heartbeat
	"${QEMU[@]}"
}

EMULATOR_FAULT_ADVICE="the emulator failed, not the guest (README.md, 'When one fails'): try again"

# exec_ports: the command's two outputs, through pipes, each with a reader.
exec_ports() {
	local name
	for name in stdout stderr; do
		mkfifo "$G_DIR/$name"
		add_port "$name" "$G_DIR/$name"
	done
	cat "$G_DIR/stdout" &
	cat "$G_DIR/stderr" >&2 &
}

# A reader waits for a writer; when QEMU never was one, this is.
release_readers() {
	: <>"$G_DIR/stdout"
	: <>"$G_DIR/stderr"
	wait
}

# exec_result: the command's exit status, or 125 when the guest itself went wrong.
exec_result() {
	local log=$G_DIR/console
	clean_console "$G_DIR/console.raw" >"$log"
	! emulator_fault "$log" || say "$EMULATOR_FAULT_ADVICE"
	if kernel_trouble "$log" >&2 || ! ended_orderly "$log"; then
		cp "$log" "$RESULTS/exec-failed.log"
		say "the guest went wrong, the end of its console ($RESULTS/exec-failed.log):"
		tail -n "$TAIL_LINES" "$log" >&2
		exit 125
	fi
	exit "$(cat "$G_DIR/status")"
}

cmd_exec() {
	local OPTIND=1
	guest_options "$@"
	shift $((OPTIND - 1))
	[ "$#" -gt 0 ] || usage
	write_job 'exec'
	printf 'JOB_COMMAND=(%s)\n' "$(printf '%q ' "$@")" >>"$G_DIR/job"
	build_qemu
	QEMU+=(-serial "mon:stdio")
	add_heartbeat
	exec_ports
	start_guest
	wait_guest "$G_LIMIT" || {
		say "hung: killed after $G_LIMIT s"
		interrogate_guest
	}
	stop_guest
	release_readers
	exec_result
}
