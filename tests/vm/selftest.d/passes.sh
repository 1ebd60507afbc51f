# SPDX-License-Identifier: MIT
# expect: ok
# A test may say what a kernel must not, and what it logs quietly does not matter.
echo "WARNING: said by the test, not by the kernel"
echo "<6>a line for information" >/dev/kmsg
