# SPDX-License-Identifier: MIT
# expect: FAIL kernel: .*
# expect-log: Kernel panic
echo 0 >/results/status
echo c >/proc/sysrq-trigger
