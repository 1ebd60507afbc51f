# SPDX-License-Identifier: MIT
# The scripts that stop all devices' services: once, not with each sanitizer.
if(NOT VRAMSWAP_SANITIZE)
  add_test(NAME stop_all COMMAND ${CMAKE_CURRENT_LIST_DIR}/stop_all.sh)
endif()
