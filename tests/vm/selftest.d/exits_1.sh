# SPDX-License-Identifier: MIT
# expect: FAIL exit status 1
exit 1
