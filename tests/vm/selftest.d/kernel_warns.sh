# SPDX-License-Identifier: MIT
# expect: FAIL kernel: .*WARNING: CPU
echo "WARNING: CPU: 0 PID: 1 at nowhere" >/dev/kmsg
exit 0
