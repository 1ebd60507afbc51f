# SPDX-License-Identifier: MIT
# expect: skip it has a reason
skip "it has a reason"
