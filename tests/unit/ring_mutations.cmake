# SPDX-License-Identifier: MIT
# Do the ring's tests notice a defect? Each ring_mutation below puts one defect into copies of kmod/ring.h and
# helper/ring.hpp, switched on at run time by a number, and names the scenario that must notice it. Two programs hold
# all defects, one of them built with ThreadSanitizer. With none switched on, every scenario must be sound.
#
# A defect is replaced text. If the text is no longer in the header, the test of that name fails and says so.

# A sanitizer of the whole build's would have to be the same as these programs' own.
if(VRAMSWAP_SANITIZE)
  message(STATUS "No mutation tests of the ring: they are for builds without VRAMSWAP_SANITIZE")
  return()
endif()

include(CheckCXXSourceCompiles)
set(CMAKE_REQUIRED_FLAGS -fsanitize=thread)
check_cxx_source_compiles("int main() { return 0; }" VRAMSWAP_HAS_THREAD_SANITIZER)
unset(CMAKE_REQUIRED_FLAGS)
if(NOT VRAMSWAP_HAS_THREAD_SANITIZER)
  message(STATUS "No mutation tests of the ring's acquires and releases: the compiler has no ThreadSanitizer")
endif()

set(ring_mutants_folder ${CMAKE_CURRENT_BINARY_DIR}/ring_mutants)
set(ring_mutants_headers kmod/ring.h helper/ring.hpp)
set(ring_mutants_count 0)
foreach(header IN LISTS ring_mutants_headers)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/${header})
  file(READ ${PROJECT_SOURCE_DIR}/${header} text)
  set(ring_mutants_text_${header} "extern int vs_mutation;\n${text}")
endforeach()

function(ring_mutants_test name program scenario number expected)
  add_test(NAME ring.${name} COMMAND ${program} ${scenario} ${number})
  set_tests_properties(ring.${name} PROPERTIES PASS_REGULAR_EXPRESSION "${expected}" TIMEOUT 120 PROCESSORS 2
                                               ENVIRONMENT "TSAN_OPTIONS=halt_on_error=1")
endfunction()

# ring_mutation(NAME HEADER SCENARIO HOW OLD NEW): in HEADER, NEW stands for OLD; MUTANT in NEW is true if the defect is
# switched on. HOW: `race` if ThreadSanitizer must report one, `unsound` if the scenario must.
function(ring_mutation name header scenario how old new)
  math(EXPR number "${ring_mutants_count} + 1")
  set(ring_mutants_count ${number} PARENT_SCOPE)

  string(FIND "${ring_mutants_text_${header}}" "${old}" first)
  string(FIND "${ring_mutants_text_${header}}" "${old}" last REVERSE)
  if(first EQUAL -1 OR NOT first EQUAL last)
    add_test(NAME ring.mutation.${name}
             COMMAND ${CMAKE_COMMAND} -E echo "ring_mutations.cmake: this text is not once in ${header}: ${old}")
    set_tests_properties(ring.mutation.${name} PROPERTIES WILL_FAIL TRUE)
    return()
  endif()
  string(REPLACE "MUTANT" "(vs_mutation == ${number})" new "${new}")
  string(REPLACE "${old}" "${new}" text "${ring_mutants_text_${header}}")
  set(ring_mutants_text_${header} "${text}" PARENT_SCOPE)

  if(how STREQUAL unsound)
    ring_mutants_test(mutation.${name} ring_mutants_plain ${scenario} ${number} "unsound: ")
  elseif(VRAMSWAP_HAS_THREAD_SANITIZER)
    ring_mutants_test(mutation.${name} ring_mutants_thread ${scenario} ${number} "ThreadSanitizer: data race")
  endif()
endfunction()

# Acquire and release: without them the data may arrive after the news of it. ThreadSanitizer sees that on any processor.
ring_mutation(publish_sqe_relaxed kmod/ring.h traffic race
  [[smp_store_release(&ring->sq->tail, tail);]]
  [[if (MUTANT) { WRITE_ONCE(ring->sq->tail, tail); } else { smp_store_release(&ring->sq->tail, tail); }]])
ring_mutation(take_sqe_relaxed helper/ring.hpp traffic race
  [[std::atomic_ref(*sq_tail_).load(std::memory_order_acquire)]]
  [[MUTANT ? std::atomic_ref(*sq_tail_).load(std::memory_order_relaxed)
           : std::atomic_ref(*sq_tail_).load(std::memory_order_acquire)]])
ring_mutation(publish_cqe_relaxed helper/ring.hpp traffic race
  [[std::atomic_ref(*cq_tail_).store(cq_head_, std::memory_order_release)]]
  [[MUTANT ? std::atomic_ref(*cq_tail_).store(cq_head_, std::memory_order_relaxed)
           : std::atomic_ref(*cq_tail_).store(cq_head_, std::memory_order_release)]])
ring_mutation(take_cqe_relaxed kmod/ring.h traffic race
  [[smp_load_acquire(&ring->cq->tail)]]
  [[(MUTANT ? READ_ONCE(ring->cq->tail) : smp_load_acquire(&ring->cq->tail))]])
ring_mutation(publish_slot_relaxed kmod/ring.h early_forgery race
  [[smp_store_release(owner, generation | VS_SLOT_HELPER);]]
  [[if (MUTANT) { WRITE_ONCE(*owner, generation | VS_SLOT_HELPER); }
    else { smp_store_release(owner, generation | VS_SLOT_HELPER); }]])
ring_mutation(claim_slot_relaxed kmod/ring.h early_forgery race
  [[return cmpxchg(owner, expected, generation) == expected;]]
  [[if (MUTANT) return __atomic_compare_exchange_n(owner, &expected, generation, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
    return cmpxchg(owner, expected, generation) == expected;]])

# Full barriers: the one thing that x86 reorders. These four need a processor or two and up to some seconds.
ring_mutation(submitter_without_barrier kmod/ring.h crossings unsound
  [[smp_mb(); /* (F) */]]
  [[if (!MUTANT) { smp_mb(); }]])
ring_mutation(sleeper_without_barrier kmod/ring.h crossings unsound
  [[smp_mb(); /* (G) */]]
  [[if (!MUTANT) { smp_mb(); }]])

ring_mutation(leaver_without_barrier kmod/ring.h handovers unsound
  [[smp_mb(); /* (N) */]]
  [[if (!MUTANT) { smp_mb(); }]])
ring_mutation(publisher_without_barrier helper/ring.hpp handovers unsound
  [[std::atomic_thread_fence(std::memory_order_seq_cst);]]
  [[if (!MUTANT) std::atomic_thread_fence(std::memory_order_seq_cst);]])

# Logic: seen at once.
ring_mutation(leaver_leaves_flag kmod/ring.h handovers unsound
  [[WRITE_ONCE(ring->sq->flags, 0);]]
  [[if (!MUTANT) WRITE_ONCE(ring->sq->flags, 0);]])
ring_mutation(sleeper_looks_no_more kmod/ring.h doorbells unsound
  [[return !vs_sq_has_past(ring, sq_head);]]
  [[return MUTANT || !vs_sq_has_past(ring, sq_head);]])
ring_mutation(doorbell_leaves_flag kmod/ring.h doorbells unsound
  [[return xchg(&ring->sleeping, 0);]]
  [[return MUTANT || xchg(&ring->sleeping, 0);]])
ring_mutation(doorbell_never_wakes kmod/ring.h wakeups unsound
  [[if (!READ_ONCE(ring->sleeping))]]
  [[if (MUTANT || !READ_ONCE(ring->sleeping))]])
ring_mutation(riser_leaves_flag kmod/ring.h doorbells unsound
  [[	WRITE_ONCE(ring->sleeping, 0);]]
  [[	if (!MUTANT) { WRITE_ONCE(ring->sleeping, 0); }]])
ring_mutation(claim_ignores_generation kmod/ring.h refusals unsound
  [[u32 expected = generation | VS_SLOT_HELPER;]]
  [[u32 expected = MUTANT ? READ_ONCE(*owner) | VS_SLOT_HELPER : generation | VS_SLOT_HELPER;]])
ring_mutation(claim_ignores_helper_bit kmod/ring.h refusals unsound
  [[if (generation & VS_SLOT_HELPER)]]
  [[if (!MUTANT && (generation & VS_SLOT_HELPER))]])
ring_mutation(claim_leaves_slot_out kmod/ring.h refusals unsound
  [[cmpxchg(owner, expected, generation) == expected]]
  [[(MUTANT ? READ_ONCE(*owner) : cmpxchg(owner, expected, generation)) == expected]])
ring_mutation(generation_overflows kmod/ring.h wrapping unsound
  [[(READ_ONCE(*owner) + 1) & VS_SLOT_GENERATION;]]
  [[MUTANT ? READ_ONCE(*owner) + 1 : (READ_ONCE(*owner) + 1) & VS_SLOT_GENERATION;]])
ring_mutation(tail_is_believed kmod/ring.h refusals unsound
  [[return ready <= ring->mask + 1 ?]]
  [[return MUTANT || ready <= ring->mask + 1 ?]])
ring_mutation(tail_is_one_too_long kmod/ring.h refusals unsound
  [[ready <= ring->mask + 1]]
  [[ready <= ring->mask + 1 + MUTANT]])
ring_mutation(tail_compared_as_signed kmod/ring.h wrapping unsound
  [[return READ_ONCE(ring->sq_tail) != sq_head;]]
  [[return MUTANT ? READ_ONCE(ring->sq_tail) > sq_head : READ_ONCE(ring->sq_tail) != sq_head;]])

foreach(header IN LISTS ring_mutants_headers)
  file(CONFIGURE OUTPUT ${ring_mutants_folder}/${header} CONTENT "${ring_mutants_text_${header}}" @ONLY)
endforeach()

file(GLOB ring_mutants_sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/ring_scenario_*.cpp)
list(APPEND ring_mutants_sources ${CMAKE_CURRENT_LIST_DIR}/ring_world.cpp ${CMAKE_CURRENT_LIST_DIR}/ring_mutants.cpp
                                 ${PROJECT_SOURCE_DIR}/tests/support/kernel_half.cpp)

function(ring_mutants_program name)
  add_executable(${name} ${ring_mutants_sources})
  target_link_libraries(${name} PRIVATE vramswap_options)
  target_include_directories(${name} BEFORE PRIVATE ${ring_mutants_folder})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/tests/support)
  target_compile_definitions(${name} PRIVATE VRAMSWAP_RING_MUTANT)
  target_compile_options(${name} PRIVATE ${ARGN})
  target_link_options(${name} PRIVATE ${ARGN})
endfunction()

ring_mutants_program(ring_mutants_plain)
if(VRAMSWAP_HAS_THREAD_SANITIZER)
  ring_mutants_program(ring_mutants_thread -fsanitize=thread $<$<CXX_COMPILER_ID:GNU>:-Wno-tsan>)
endif()

# The same programs with no defect.
foreach(scenario traffic wakeups crossings handovers doorbells refusals wrapping early_forgery)
  ring_mutants_test(control.plain.${scenario} ring_mutants_plain ${scenario} 0 "^sound")
  if(VRAMSWAP_HAS_THREAD_SANITIZER)
    ring_mutants_test(control.thread.${scenario} ring_mutants_thread ${scenario} 0 "^sound")
  endif()
endforeach()
