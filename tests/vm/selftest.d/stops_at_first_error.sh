# SPDX-License-Identifier: MIT
# expect: FAIL exit status 1
false
echo "not reached"
exit 0
