# SPDX-License-Identifier: MIT
# expect: FAIL the guest did not power off in an orderly way
echo 0 >/results/status
busybox reboot -f
