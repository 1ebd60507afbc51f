# SPDX-License-Identifier: MIT
# expect: FAIL the guest did not power off in an orderly way
busybox poweroff -f
