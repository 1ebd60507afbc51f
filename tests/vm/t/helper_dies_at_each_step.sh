# SPDX-License-Identifier: MIT
# The helper dies in the middle of each of its own steps, (3) to (5), by SIGKILL, by a crash and by leaving in the
# middle of a batch, while requests are under way. Its successor finishes them; every byte is right. (Deaths at the
# kernel's steps: every_fault_unwinds.)
# memory: 1G
# timeout: 300
# shellcheck shell=bash

load_module
mkdir -p /run/helper-0
export VRAMSWAP_DIE_MARK=$PWD/mark
for probe in sqe_taken engine_submit engine_done cqe_published; do
	for signal in 9 11 0; do
		# Between the requests of one batch, so that some are answered and some are not.
		export VRAMSWAP_DIE_AT=$probe:203:$signal
		rm -f mark /run/helper-0/log
		HELPER=vramswapd_mortal start_helper 0 64M
		fio --eta=never --name=mortal --filename=/dev/vramswap0 --ioengine=libaio --direct=1 --iodepth=32 \
			--rw=randwrite --bsrange=4k-64k --size=8M --verify=crc32c --verify_fatal=1 --do_verify=1 --output=fio.log || {
			cat fio.log
			die "fio: an I/O failed or a byte is wrong"
		}
		[ -e mark ] || die "the helper has not died at $probe"
		assert_eq "$(helper_says 0 starts)" 1 "starts by the service manager"
		assert_eq "$(grep -c 'kept for the next' /run/helper-0/log)" 1 "deaths of a worker"
		say "$probe, signal $signal: $(grep -oE 'the worker .*;' /run/helper-0/log)" \
			"$(stat_of replayed) requests sent again so far"
		stop_helper 0
		wait_for "! pgrep -f service_manager.py >/dev/null" 20
	done
done
assert_eq "$(stat_of operations.write.errors)" 0 "failed writes"
assert_eq "$(stat_of operations.read.errors)" 0 "failed reads"
unload_module
