# SPDX-License-Identifier: MIT
# expect: nothing
# kernels: none
exit 1
