# Tests, found by name: tests/c/test_*.c (cmocka), tests/lua/test_*.lua and
# tests/program/test_*.lua (run by bin/saros from the source folder).
set(saros_test_timeout 300 CACHE STRING "Seconds a test may take")

function(saros_test name)
  add_test(NAME ${name} COMMAND ${ARGN} WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
  set_tests_properties(${name} PROPERTIES TIMEOUT ${saros_test_timeout})
endfunction()

file(GLOB c_tests CONFIGURE_DEPENDS tests/c/test_*.c)
foreach(source ${c_tests})
  cmake_path(GET source STEM name)
  add_executable(${name} ${source})
  set_target_properties(${name} PROPERTIES
    RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
  target_include_directories(${name} PRIVATE tests/c)
  target_link_libraries(${name} PRIVATE saros_flags saros PkgConfig::cmocka)
  string(REGEX REPLACE "^test_" "c_" test_name ${name})
  saros_test(${test_name} ${name})
endforeach()

if(TARGET saros_program)
  foreach(kind lua program)
    file(GLOB lua_tests CONFIGURE_DEPENDS tests/${kind}/test_*.lua)
    foreach(source ${lua_tests})
      cmake_path(GET source STEM name)
      string(REGEX REPLACE "^test_" "${kind}_" test_name ${name})
      saros_test(${test_name} saros_program tests/${kind}/${name}.lua)
    endforeach()
  endforeach()
endif()

# Benchmarks in C, built on demand: cmake --build build/release --target bench_products
file(GLOB c_benches CONFIGURE_DEPENDS tests/bench/*.c)
foreach(source ${c_benches})
  cmake_path(GET source STEM name)
  add_executable(bench_${name} EXCLUDE_FROM_ALL ${source})
  target_link_libraries(bench_${name} PRIVATE saros_flags saros saros::blis)
endforeach()

# Each header is a contract of its own: it compiles alone.
saros_test(headers ${CMAKE_COMMAND} -DCC=${CMAKE_C_COMPILER} -DLUA_INCLUDE=${lua_INCLUDE_DIRS}
  -P ${PROJECT_SOURCE_DIR}/cmake/check_headers.cmake)

find_program(LUA_PROGRAM NAMES lua5.4 lua)
if(LUA_PROGRAM)
  saros_test(layers ${LUA_PROGRAM} tests/layers.lua)
  # A sanitizer must be in the host from its start: not in stock Lua.
  if(TARGET saros_module AND NOT CMAKE_C_FLAGS_DEBUG MATCHES sanitize)
    saros_test(stock_lua ${LUA_PROGRAM} tests/stock_lua.lua $<TARGET_FILE_DIR:saros_module>)
  endif()
endif()
