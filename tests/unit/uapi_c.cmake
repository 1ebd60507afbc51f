# SPDX-License-Identifier: MIT
# The uapi headers as C programs see them, in the oldest and in a newer C that has _Static_assert.
enable_language(C)
foreach(standard 11 17)
  add_library(uapi_c${standard} OBJECT ${CMAKE_CURRENT_LIST_DIR}/uapi_layout.c)
  target_include_directories(uapi_c${standard} PRIVATE ${PROJECT_SOURCE_DIR})
  target_compile_options(uapi_c${standard} PRIVATE -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror)
  set_target_properties(uapi_c${standard} PROPERTIES C_STANDARD ${standard} C_STANDARD_REQUIRED ON C_EXTENSIONS OFF)
endforeach()
