# SPDX-License-Identifier: MIT
# expect: ok
# allow-console: at nowhere
echo "WARNING: CPU: 0 PID: 1 at nowhere" >/dev/kmsg
