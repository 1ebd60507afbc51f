# SPDX-License-Identifier: MIT
# The bench's statistics and reports, which are Python: once, not with each sanitizer.
if(NOT VRAMSWAP_SANITIZE)
  foreach(suite Statistics Goals Quick Plan Report Rest Plots)
    add_test(NAME bench_${suite} COMMAND /usr/bin/python3 ${CMAKE_CURRENT_LIST_DIR}/bench_report.py ${suite})
    set_tests_properties(bench_${suite} PROPERTIES SKIP_RETURN_CODE 77)
  endforeach()
  add_test(NAME bench_GpuPlots COMMAND /usr/bin/python3 ${CMAKE_CURRENT_LIST_DIR}/bench_gpu_plot.py
                                       ${CMAKE_SOURCE_DIR}/bench/gpu/plot)
  set_tests_properties(bench_GpuPlots PROPERTIES SKIP_RETURN_CODE 77)
endif()
