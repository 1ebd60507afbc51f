# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# vm exec and vm shell: a guest for one command, or for a person.
#
# shellcheck disable=SC2034 # the G_ variables are for guest.sh

# guest_options ARGUMENT...: -k KERNEL, -m MEM, -t SECONDS, -a ARGUMENTS for the kernel, -d SIZE of a disk, -r: again
# after an emulator fault; sets OPTIND.
guest_options() {
	local option
	guest_defaults
	G_LIMIT=600 G_RETRIES=0
	while getopts k:m:t:a:d:r option; do
		case $option in
		k) G_KERNEL=$OPTARG ;;
		m) G_MEM=$OPTARG ;;
		t) G_LIMIT=$OPTARG ;;
		a) G_ARGS=$OPTARG ;;
		d) G_DISK=$OPTARG ;;
		r) G_RETRIES=$EMULATOR_RETRIES ;;
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

EMULATOR_FAULT="the emulator failed, not the guest (README.md, 'When one fails')"

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
	! emulator_fault "$log" || say "$EMULATOR_FAULT: try again"
	if kernel_trouble "$log" >&2 || ! ended_orderly "$log"; then
		cp "$log" "$RESULTS/exec-failed.log"
		say "the guest went wrong, the end of its console ($RESULTS/exec-failed.log):"
		tail -n "$TAIL_LINES" "$log" >&2
		exit 125
	fi
	exit "$(cat "$G_DIR/status")"
}

# boot_command COMMAND...: in a guest of its own; leaves the console in the guest's folder.
boot_command() {
	rm -rf "${G_DIR:?}"/*
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
	clean_console "$G_DIR/console.raw" >"$G_DIR/console"
}

cmd_exec() {
	local OPTIND=1
	guest_options "$@"
	shift $((OPTIND - 1))
	[ "$#" -gt 0 ] || usage
	boot_command "$@"
	while [ "$G_RETRIES" -gt 0 ] && emulator_fault "$G_DIR/console"; do
		say "$EMULATOR_FAULT: once more"
		G_RETRIES=$((G_RETRIES - 1))
		boot_command "$@"
	done
	exec_result
}
