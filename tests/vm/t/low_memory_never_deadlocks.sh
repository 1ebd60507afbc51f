# SPDX-License-Identifier: MIT
# A guest of half a gigabyte, work for as much as that (three times as much with 300), and everything that makes it
# worse: many processes, memory.high and memory.max on some, a page cache that wants room, network packets that need
# memory at once, and limits put on the helper itself. It gets slow; it never stands still, nothing is wrong, and the
# memory pressure is recorded.
# memory: 512M
# ivshmem: 2G
# timeout: 560
# setting: LOW_MEMORY_SECONDS 20
# setting: LOW_MEMORY_PERCENT 90
# allow-console: Call Trace:
# shellcheck shell=bash

# (The trace is what the kernel prints when a cgroup is given a limit and nobody in it may be killed.)

# in_group NAME "FILE VALUE"... -- COMMAND...: in a cgroup with these settings.
in_group() {
	local group=/sys/fs/cgroup/$1
	mkdir -p "$group"
	shift
	while [ "$1" != -- ]; do
		echo "${1#* }" >"$group/${1%% *}"
		shift
	done
	shift
	echo "$BASHPID" >"$group/cgroup.procs"
	exec "$@"
}

# torture NAME SIZE PROCS "FILE VALUE"...: swap torture for as long as the test lasts.
torture() {
	local name=$1 size=$2 procs=$3
	shift 3
	(in_group "$name" "$@" -- swap_torture --size "$size" --procs "$procs" --passes 100000 --json \
		>"$name.json" 2>"$name.log") &
	tortures+=("$name:$!")
}

# kill_worker_late: as kill_worker, but for ten seconds nobody starts another. By then all that wants memory waits for the
# device, and nothing is free for a successor but what the module has kept back for it. (Told by a process whose memory is
# locked: this shell's may be on the device.)
kill_worker_late() {
	local worker
	worker=$(worker_of 0)
	python3 - "$(helper_says 0 pid)" "$worker" <<-'END'
		import ctypes, os, signal, sys, time
		keeper, worker = map(int, sys.argv[1:])
		assert ctypes.CDLL(None).mlockall(3) == 0
		os.kill(keeper, signal.SIGSTOP)
		os.kill(worker, signal.SIGKILL)
		time.sleep(10)
		os.kill(keeper, signal.SIGCONT)
	END
	wait_other_worker 0 "$worker" 100
}

load_module
# In a cgroup of its own from the beginning, so that its memory is charged there.
mkdir /sys/fs/cgroup/helper
cat >vramswapd-in-group <<'END'
#!/bin/sh
echo $$ >/sys/fs/cgroup/helper/cgroup.procs
exec vramswapd "$@"
END
chmod +x vramswapd-in-group
HELPER=$PWD/vramswapd-in-group start_helper 0 2G --store "$(ivshmem_path)"
swap_on
no_readahead
total=$(awk '/^MemTotal/ { print int($2 / 1024) }' /proc/meminfo)
say "$total MiB of RAM"
take_counters before

tortures=()
# A page cache that wants room, its dirty pages and loopback traffic: a tmpfs server would be swap again, so a file on
# ext4 in memory of the block layer's own kind.
modprobe brd rd_nr=1 rd_size=65536
mkfs.ext4 -q /dev/ram0
mkdir -p /mnt/ram
mount /dev/ram0 /mnt/ram
(while [ ! -e over ]; do
	dd if=/dev/zero of=/mnt/ram/file bs=64k count=500 status=none
	cat /mnt/ram/file >/dev/null
done) &
cache=$!
fio --eta=never --name=net-in --ioengine=net --listen --port=8888 --protocol=tcp --rw=read --bs=64k --size=100g \
	--output=net-in.log &
net_in=$!
wait_for "grep -q ':22B8 ' /proc/net/tcp" 20 # port 8888 is listened on
fio --eta=never --name=net-out --ioengine=net --hostname=localhost --port=8888 --protocol=tcp --rw=write --bs=64k \
	--size=100g --rate=20m --output=net-out.log &
net_out=$!

part=$((total * LOW_MEMORY_PERCENT / 400))
torture free $((part * 2))M 8
torture high ${part}M 4 "memory.high $((part / 2))M"
torture max ${part}M 4 "memory.max $((part / 2))M"

end=$((SECONDS + LOW_MEMORY_SECONDS))
moved=0
kills=0
while [ "$SECONDS" -lt "$end" ]; do
	# Somebody means the helper ill: its limits shrink, and its memory is asked for.
	echo 1M >/sys/fs/cgroup/helper/memory.high
	echo 8M >/sys/fs/cgroup/helper/memory.max || true
	echo 64M >/sys/fs/cgroup/helper/memory.reclaim 2>/dev/null || true
	sleep 5
	echo max >/sys/fs/cgroup/helper/memory.max
	now=$(sed -nE 's/.*verified ([0-9]+),.*/\1/p' free.log high.log max.log | sort -n | tail -n1)
	say "$(grep -h . /proc/pressure/memory | tr '\n' ' ' | cut -c 1-120) verified ${now:-0}"
	# And killed it is, with no page free.
	killed=$SECONDS
	if [ $((kills++ % 4)) -eq 1 ]; then kill_worker_late; else kill_worker 0; fi
	say "killed worker $kills, served again after $((SECONDS - killed)) s"
	assert_eq "$(cat /sys/fs/cgroup/helper/memory.high)" max "memory.high of the helper, which would slow its start"
	before=$moved
	read -ra disk </sys/block/vramswap0/stat
	moved=$((disk[2] + disk[6]))
	[ "$moved" -gt "$before" ] || die "nothing was swapped in five seconds"
done
for stressor in $cache $net_in $net_out; do
	[ -d "/proc/$stressor" ] || die "a stressor has ended: $(cat net-in.log net-out.log)"
done
[ "$(awk '$1 == "lo:" { print $2 }' /proc/net/dev)" -gt 10000000 ] || die "there was no traffic on loopback"
touch over
assert_eq "$(helper_says 0 starts)" 1 "starts of the keeper, which must have lived through it"
say "$(grep -c 'kept for the next' /run/helper-0/log) workers killed and replaced with no page free"

# All at once: each looks at all of its pages again before it ends.
kill $net_out $net_in 2>/dev/null || true
kill -TERM "${tortures[@]#*:}"
for torture in "${tortures[@]}"; do
	name=${torture%%:*}
	wait "${torture#*:}" || {
		tail -n 5 "$name.log"
		die "swap_torture '$name': $?"
	}
	nothing_wrong "$name.json"
	[ "$(tail -n1 "$name.json" | jq .verified)" != 0 ] || die "'$name' did nothing"
done
wait $cache $net_in $net_out 2>/dev/null || true
umount /mnt/ram
take_counters after
counters_agree before after 128
assert_eq "$(vmstat_of oom_kill)" 0 "processes killed for lack of memory"
say "pressure: $(tr '\n' ' ' </proc/pressure/memory)"
swapoff /dev/vramswap0
stop_helper 0
unload_module
