# Compiles every header under src/ alone (a test; see tests.cmake). One without an
# include guard is a template, meant to be included with its parameters defined.
#   cmake -DCC=compiler -DLUA_INCLUDE=folder -P check_headers.cmake
file(GLOB_RECURSE headers RELATIVE ${CMAKE_CURRENT_SOURCE_DIR} src/*.h)
set(bad "")
foreach(header ${headers})
  if(header MATCHES "^src/backend/cuda/")
    continue()
  endif()
  file(STRINGS ${header} guard REGEX "^#ifndef SA?R")
  if(NOT guard)
    continue()
  endif()
  execute_process(
    COMMAND ${CC} -std=c11 -D_GNU_SOURCE -DSR_ISA=baseline -Wall -Wextra -Werror
      -Wno-unused-function -Isrc -I${LUA_INCLUDE} -fsyntax-only -x c -include ${header} /dev/null
    RESULT_VARIABLE result ERROR_VARIABLE errors)
  if(NOT result EQUAL 0)
    message("${header} does not compile alone:\n${errors}")
    list(APPEND bad ${header})
  endif()
endforeach()
if(bad)
  message(FATAL_ERROR "headers that lean on others: ${bad}")
endif()
