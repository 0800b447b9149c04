# saros_embed(OUTPUT ROOT FILES...): a C file that holds the Lua library.
# The generator is a small C program: no length limits, and fast.
function(saros_embed output root)
  add_executable(saros_embed_tool ${PROJECT_SOURCE_DIR}/cmake/embed.c)
  set_target_properties(saros_embed_tool PROPERTIES
    RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tools)
  # The list is an input of its own: a file that is removed must disappear too.
  list(JOIN ARGN "\n" names)
  file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/embedded.txt CONTENT "${names}\n" @ONLY)
  add_custom_command(OUTPUT ${output}
    COMMAND saros_embed_tool ${output} ${root} ${PROJECT_BINARY_DIR}/embedded.txt
    DEPENDS saros_embed_tool ${ARGN} ${PROJECT_BINARY_DIR}/embedded.txt
    COMMENT "Embedding the Lua library" VERBATIM)
endfunction()
