# SPDX-License-Identifier: MIT
# NVIDIA's headers, wherever a toolkit has them: cuda_types.cpp, and nothing else, is compiled with them.
file(GLOB cuda_toolkits /usr/local/cuda-*/include)
find_path(VRAMSWAP_CUDA_INCLUDE cudaTypedefs.h HINTS $ENV{CUDA_PATH}/include /usr/local/cuda/include ${cuda_toolkits}
          DOC "Folder of NVIDIA's cuda.h, to compare our declarations with; nothing is built with it")
if(VRAMSWAP_CUDA_INCLUDE)
  set_source_files_properties(${CMAKE_CURRENT_LIST_DIR}/cuda_types.cpp
                              PROPERTIES COMPILE_OPTIONS "-isystem;${VRAMSWAP_CUDA_INCLUDE}")
endif()
