# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# One guest: its job file, its QEMU command, the wait for its end.
#
# A guest's folder is /results inside. The rig leaves the job there; the guest leaves
# boot-seconds and status. Its first serial port (also the way in: C-a b and a letter
# is a sysrq) goes to the folder's console file, its second, the heartbeat, to another.

# Emulated CPUs that share a busy host stand still for seconds; that is no lockup.
WATCHDOGS="watchdog_thresh=20 rcupdate.rcu_cpu_stall_timeout=60"
GUEST_PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

# What the next guest is like; the commands below set it.
guest_defaults() {
	G_KERNEL='' G_DIR='' G_MEM=1G G_SMP=2 G_IVSHMEM='' G_DISK='' G_ARGS='' G_FLAVOUR='' G_ACCEL=tcg QEMU=()
	G_ROOT=/ G_INIT=$VM_DIR/guest/init
}

# module_file KERNEL [FLAVOUR]
module_file() { echo "$BUILD/kmod-$1${2-}/vramswap.ko"; }

# write_job KIND [NAME=VALUE]...: what guest/init reads.
write_job() {
	local pair watcher
	watcher=$(need_watcher)
	{
		printf 'JOB_KIND=%q\n' "$1"
		printf 'JOB_VERSION=%q\n' "$(kernel_version "$G_KERNEL")"
		printf 'JOB_MODULES=%q\n' "$(kernel_modules "$G_KERNEL")"
		printf 'JOB_WATCHER=%q\n' "$watcher"
		printf 'JOB_CWD=%q\n' "$PWD"
		printf 'export KERNEL=%q\n' "$G_KERNEL"
		printf 'export VM_DIR=%q\n' "$VM_DIR"
		printf 'export TEST_DIR=%q\n' "$TEST_DIR"
		printf 'export VRAMSWAP_KO=%q\n' "${VRAMSWAP_KO:-$(module_file "$G_KERNEL" "$G_FLAVOUR")}"
		printf 'export VRAMSWAP_BIN=%q\n' "$VRAMSWAP_BIN"
		printf 'export PATIENCE=%q\n' "$(patience "$G_KERNEL")"
		printf 'PATH=%q:%s\n' "$VRAMSWAP_BIN" "$GUEST_PATH"
		for pair in "${@:2}"; do
			printf '%s=%q\n' "${pair%%=*}" "${pair#*=}"
		done
	} >"$G_DIR/job"
}

# What a processor can do more costs an emulator more: with all that QEMU knows, guests are a quarter slower. SMAP and
# SMEP must be: they catch a kernel that touches user memory in the wrong way.
accelerator() {
	local model=qemu64,+smap,+smep
	case ${VRAMSWAP_VM_ACCEL:-$G_ACCEL} in
	tcg) QEMU+=(-accel "tcg,thread=multi" -cpu "$model") ;;
	tcg-single) QEMU+=(-accel "tcg,thread=single" -cpu "$model") ;;
	kvm) QEMU+=(-accel kvm -cpu host) ;;
	*) die "VRAMSWAP_VM_ACCEL is tcg, tcg-single or kvm" ;;
	esac
}

# patience KERNEL: how many times longer than said things may take. What is said holds for an emulated guest on a machine
# of its own; the same machine has been seen to emulate at half that speed.
patience() { echo $((${VRAMSWAP_VM_PATIENCE:-2} * $(kernel_trait "$1" patience 1))); }

# guest_memory: in MiB, what was asked for and what the kernel itself needs more.
guest_memory() {
	local mib
	case $G_MEM in
	*G) mib=$((${G_MEM%G} * 1024)) ;;
	*M) mib=${G_MEM%M} ;;
	*) die "memory is said as 1500M or 2G, not '$G_MEM'" ;;
	esac
	echo $((mib + mib * $(kernel_trait "$G_KERNEL" shadow-memory 0) / 8 + $(kernel_trait "$G_KERNEL" extra-memory 0)))
}

# build_qemu: fills QEMU; the caller adds where the first serial port goes.
build_qemu() {
	local kernel initramfs args="console=ttyS0 loglevel=5 printk.time=1 printk.devkmsg=on panic=-1 oops=panic"
	args+=" mitigations=off nokaslr sysrq_always_enabled $WATCHDOGS vm_init=$G_INIT"
	# An emulated processor is late for the clock's watchdog now and then, and with the HPET all is half as quick.
	args+=" tsc=reliable"
	# Waits for grace periods are most of what loading, unloading and swapoff cost a guest.
	is_own_kernel "$G_KERNEL" || args+=" rcupdate.rcu_expedited=1"
	args+=" $G_ARGS"
	kernel=$(need_vmlinux "$G_KERNEL")
	initramfs=$(need_initramfs "$G_KERNEL")
	QEMU=(setpriv --pdeathsig KILL qemu-system-x86_64)
	accelerator
	QEMU+=(-machine q35 -smp "$G_SMP" -m "$(guest_memory)" -nodefaults -no-user-config -no-reboot
		-display none -vga none
		-kernel "$kernel" -initrd "$initramfs" -append "$args"
		-virtfs "local,path=$G_ROOT,mount_tag=host,security_model=none,readonly=on,multidevs=remap"
		-virtfs "local,path=$G_DIR,mount_tag=results,security_model=none"
		-device virtio-serial-pci)
	[ -z "$G_IVSHMEM" ] || QEMU+=(-object "memory-backend-memfd,id=ivshmem,share=on,size=$G_IVSHMEM"
		-device "ivshmem-plain,memdev=ivshmem")
	[ -z "$G_DISK" ] || add_disk
}

# add_disk: an empty one, /dev/vda once virtio_blk is loaded. It is a file beside the console, past the host's cache.
add_disk() {
	truncate -s "$G_DISK" "$G_DIR/disk"
	QEMU+=(-drive "file=$G_DIR/disk,format=raw,if=virtio,cache=none,discard=unmap")
}

# add_heartbeat: after the first serial port, which must come first.
add_heartbeat() { QEMU+=(-serial "file:$G_DIR/heartbeat"); }

# add_port NAME FILE: a virtio-serial port of that name that writes to FILE.
add_port() {
	QEMU+=(-chardev "file,id=$1,path=$2" -device "virtserialport,chardev=$1,name=$1")
}

# start_guest: in the background, its console in G_DIR/console; sets G_PID and opens
# G_INPUT, the way to type at the console.
start_guest() {
	mkfifo "$G_DIR/input"
	exec {G_INPUT}<>"$G_DIR/input"
	rm "$G_DIR/input"
	"${QEMU[@]}" <&"$G_INPUT" >"$G_DIR/console.raw" 2>&1 &
	G_PID=$!
}

# wait_guest SECONDS: 0 when the guest has ended by itself in that time.
wait_guest() {
	local end=$((SECONDS + $1))
	while kill -0 "$G_PID" 2>/dev/null; do
		[ "$SECONDS" -lt "$end" ] || return 1
		sleep 0.2
	done
}

# interrogate_guest: asks a hung guest what its tasks do; one that does not answer
# gets a non-maskable interrupt, upon which the kernel panics and shows its stack.
interrogate_guest() {
	local key before
	before=$(stat -c %s "$G_DIR/console.raw")
	for key in 9 t m l w; do
		printf '\001b%s' "$key" >&"$G_INPUT"
		sleep 2
	done
	[ $(($(stat -c %s "$G_DIR/console.raw") - before)) -lt 200 ] || return 0
	printf '\001cnmi\n' >&"$G_INPUT"
	wait_guest 20 || true
}

stop_guest() {
	[ -n "${G_PID:-}" ] || return 0
	kill -KILL "$G_PID" 2>/dev/null || true
	wait "$G_PID" 2>/dev/null || true
	exec {G_INPUT}>&-
	G_PID=''
}

# clean_console FILE: its text without carriage returns and terminal controls.
clean_console() { tr -d '\r\000' <"$1" | sed 's/\x1b\[[0-9;?]*[a-zA-Z]//g; s/\x1bc//g'; }

# What the kernel prints when something is wrong. Only lines with its time stamp count,
# so a test may say these words.
TROUBLE='BUG:|WARNING:|page allocation failure|Oops|Kernel panic|general protection|KASAN|KCSAN|UBSAN'
TROUBLE+='|possible circular locking|possible recursive locking|INFO: task .*blocked'
TROUBLE+='|INFO: rcu|rcu: INFO|soft lockup|hard LOCKUP|Call Trace|unreferenced object'
TROUBLE+='|kmemleak: [1-9]|sleeping function called'

# When memory is short, the swap code of Linux 7.2 tries to get a table of its own at once, goes on without if there is
# none, but prints a trace. Everything else is passed on.
without_swap_tables() {
	awk '/page allocation failure/ { held = 1; text = "" }
		held { text = text $0 "\n" }
		held && /<\/TASK>/ { if (text !~ /swap_cluster_alloc_table/) printf "%s", text; held = 0; next }
		!held
		END { if (held) printf "%s", text }' "$1"
}

# kernel_trouble LOG [ALLOWED]: the lines that fail a run, if any.
kernel_trouble() {
	without_swap_tables "$1" | grep -aE "\[ *[0-9]+\.[0-9]{6}\].*($TROUBLE)" | grep -avE "${2:-^\$}"
}

# emulator_fault LOG [ALLOWED]: did the emulated CPU run an instruction that was not in memory, and was nothing wrong before?
# When the kernel patches its code (static keys), QEMU with a thread for each CPU may keep
# a stale translation of the breakpoint that stood there for a moment, and the kernel dies
# of "Oops: int3". The dump of the code proves it: a real int3 (cc) stands right before
# the marked byte. Seen with QEMU 7.2 and 10.0, the more the busier the host is.
emulator_fault() {
	local text
	text=$(<"$1")
	awk '/Oops: int3/ { oops = 1 }
		oops && match($0, / Code: .* <[0-9a-f][0-9a-f]>/) {
			stale = substr($0, RSTART + RLENGTH - 7, 2) != "cc"
			exit
		}
		END { exit !stale }' <<<"$text" &&
		! kernel_trouble <(sed '/Oops: int3/,$d' <<<"$text") "${2:-}" >/dev/null
}

# ended_orderly LOG: did the guest say its result and then power off?
ended_orderly() {
	[ -s "$G_DIR/status" ] && grep -aqE '\[ *[0-9]+\.[0-9]{6}\].*reboot: Power down' "$1"
}
