# SPDX-License-Identifier: MIT
# expect: FAIL hung: killed after [0-9]+ s, last heartbeat: up
# expect-log: sysrq: Show Blocked State
# expect-log: task:sleep
# timeout: 60
sleep 1000
