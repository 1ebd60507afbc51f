# SPDX-License-Identifier: MIT
# Every misuse of the control device, the rings and the helper's command line gets its own error, and loses nothing.
# memory: 1G
# timeout: 240
# shellcheck shell=bash

# helper_says_no WORDS ARGUMENT...: vramswapd ends at once, with a sentence that has these words.
helper_says_no() {
	local words=$1
	shift
	refused "$words" timeout 20 vramswapd "$@"
}

say "the module is missing"
helper_says_no 'modprobe vramswap' --size 64M
refused 'modprobe vramswap' vramswapctl status

load_module
say "calls"
chardev_probe
say "rings"
ring_probe
vramswapctl set 0 --io-timeout 1
ring_probe silent_helper
vramswapctl set 0 --hold-timeout 3
ring_probe silent_helpers
vramswapctl set 0 --hold-timeout 120

say "no memory for staging"
vramswapctl add --index 1 --queues 1 --slots 1024 --slot-size 1M
chardev_probe --device 1 no_memory_for_staging
helper_says_no 'memory' --device 1 --size 64M
vramswapctl delete 1

say "the helper's command line"
helper_says_no 'size' --size 0
helper_says_no 'size' --size 4095
helper_says_no 'size|more than' --size 99999999999999999999
helper_says_no 'size|most' --size 16T
helper_says_no 'size' --size -1
helper_says_no 'size' --size 12potatoes
helper_says_no 'size'
helper_says_no 'memory' --size 100G
helper_says_no 'engine' --size 64M --engine abacus
helper_says_no 'store|no such file' --size 64M --store /no/such/file
helper_says_no 'vramswapc7' --device 7 --size 64M
helper_says_no 'help-me-not' --help-me-not

say "no permission"
refused 'root|permission|CAP_' setpriv --reuid 65534 --regid 65534 --clear-groups vramswapd --size 64M

say "a second helper"
vramswapctl set 0 --io-timeout 30
start_helper 0 64M
helper_says_no 'has a helper' --size 64M --wait-device 1
refused 'there is a device' vramswapctl add --index 0
assert_eq "$(status_of state)" live "state, after all that"
dd if=/dev/urandom of=block bs=4k count=64 status=none
dd if=block of=/dev/vramswap0 bs=4k oflag=direct status=none
cmp -n $((64 * 4096)) block /dev/vramswap0
stop_helper 0
unload_module
