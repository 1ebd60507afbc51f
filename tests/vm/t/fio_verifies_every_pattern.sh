# SPDX-License-Identifier: MIT
# fio writes and verifies (crc32c): random and sequential, 4 KiB to 1 MiB, depths 1 to 128, several jobs, direct and
# buffered. Every job fills a region of its own and then reads all of it back.
# memory: 1G
# timeout: 300
# parallel: yes
# shellcheck shell=bash

load_module
start_helper 0 192M

# Sections run one after another; the jobs of one run at the same time, each in its own part of the device.
cat >jobs.fio <<'END'
[global]
filename=/dev/vramswap0
verify=crc32c
verify_fatal=1
do_verify=1
direct=1
thread=1
stonewall

[rand-4k-depth-1]
ioengine=psync
rw=randwrite
bs=4k
size=4M

[rand-4k-depth-32]
ioengine=libaio
iodepth=32
rw=randwrite
bs=4k
numjobs=2
size=8M
offset_increment=8M

[rand-4k-depth-128]
ioengine=io_uring
iodepth=128
rw=randwrite
bs=4k
numjobs=4
size=6M
offset_increment=6M

[rand-mixed-sizes-depth-16]
ioengine=io_uring
iodepth=16
rw=randwrite
bsrange=4k-1M
bs_unaligned=0
numjobs=2
size=64M
offset_increment=64M

[rand-64k-reads-and-writes]
ioengine=libaio
iodepth=8
rw=randrw
bs=64k
size=48M

[sequential-4k-depth-1]
ioengine=psync
rw=write
bs=4k
size=4M
offset=100M

[sequential-128k-depth-64]
ioengine=libaio
iodepth=64
rw=write
bs=128k
size=64M

[sequential-1M-all-of-it]
ioengine=io_uring
iodepth=4
rw=write
bs=1M
size=100%

[buffered-random]
ioengine=psync
direct=0
rw=randwrite
bsrange=4k-64k
size=16M
fsync=256
END

fio --eta=never --output-format=json --output=fio.log jobs.fio || {
	cat fio.log
	die "fio found an error"
}
sed -n '/^{/,$p' fio.log >fio.json # notes may come before it
jq -r '.jobs[] | "== \(.jobname): \(.write.io_kbytes) KiB at \(.write.iops | floor) IOPS written, " +
	"\(.read.io_kbytes) KiB at \(.read.iops | floor) IOPS verified"' fio.json
assert_eq "$(jq '[.jobs[].error] | add' fio.json)" 0 "errors that fio counted"
assert_eq "$(jq '.jobs | length' fio.json)" 14 "jobs"
assert_eq "$(status_of used)" $((192 << 20)) "bytes in use once all of the device was written"
assert_eq "$(stat_of operations.write.errors)" 0 "failed writes"
assert_eq "$(stat_of operations.read.errors)" 0 "failed reads"

stop_helper 0
unload_module
