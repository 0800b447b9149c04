# The libraries saros stands on: Debian packages, none of them copied into the
# tree. Gives the targets saros::lua, saros::blis, OpenMP::OpenMP_C and
# PkgConfig::{utf8proc,jansson,edit,cmocka}.
find_package(OpenMP REQUIRED COMPONENTS C)
find_package(PkgConfig REQUIRED)
pkg_check_modules(lua REQUIRED IMPORTED_TARGET lua5.4)
pkg_check_modules(edit REQUIRED IMPORTED_TARGET libedit)
pkg_check_modules(utf8proc REQUIRED IMPORTED_TARGET libutf8proc)
pkg_check_modules(jansson REQUIRED IMPORTED_TARGET jansson)
if(SAROS_TESTS)
  pkg_check_modules(cmocka REQUIRED IMPORTED_TARGET cmocka)
endif()

# The whole static library, its symbols exported by the program: the
# interpreter's own calls stay direct, and C modules find the Lua API.
add_library(saros::lua INTERFACE IMPORTED)
find_library(LUA_STATIC NAMES liblua5.4.a)
if(LUA_STATIC)
  target_include_directories(saros::lua INTERFACE ${lua_INCLUDE_DIRS})
  target_link_libraries(saros::lua INTERFACE
    "$<LINK_LIBRARY:WHOLE_ARCHIVE,${LUA_STATIC}>" m ${CMAKE_DL_LIBS})
else()
  target_link_libraries(saros::lua INTERFACE PkgConfig::lua)
endif()

# BLIS comes in variants that share one soname; which of them plain -lblis loads
# is the machine's choice (update-alternatives). Linking by full path makes
# CMake write that folder into the run path, so the one found here is loaded.
set(blis_variants blis-openmp blis blis-pthread blis-serial)
find_path(BLIS_INCLUDE_DIR blis.h PATH_SUFFIXES ${blis_variants}
  ${CMAKE_LIBRARY_ARCHITECTURE}/blis-openmp NO_CACHE REQUIRED)
find_library(BLIS_LIBRARY blis PATH_SUFFIXES ${blis_variants} REQUIRED)
mark_as_advanced(BLIS_LIBRARY LUA_STATIC)
add_library(saros::blis INTERFACE IMPORTED)
target_include_directories(saros::blis SYSTEM INTERFACE ${BLIS_INCLUDE_DIR})
target_link_libraries(saros::blis INTERFACE ${BLIS_LIBRARY})
