# nmlbench_add_plugin(NAME SOURCES...): one shared library of plugins.
#
# Used by this tree and, through find_package(nmlbench), by out-of-tree plugins. The library exports the one symbol
# `nmlbench_plugin`, has no undefined symbols, and is never unloaded (DESIGN: plugins).
set(NMLBENCH_PLUGIN_EXPORTS ${CMAKE_CURRENT_LIST_DIR}/nmlbench_plugin.map)

function(nmlbench_add_plugin name)
  add_library(${name} MODULE ${ARGN})
  target_compile_features(${name} PRIVATE cxx_std_20)
  target_link_libraries(${name} PRIVATE nmlbench::api)
  set_target_properties(${name} PROPERTIES
    PREFIX "" CXX_EXTENSIONS OFF CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON)
  target_link_options(${name} PRIVATE
    -Wl,--version-script=${NMLBENCH_PLUGIN_EXPORTS} -Wl,-z,defs -Wl,-z,nodelete)
  if(NMLBENCH_SANITIZE)  # a sanitizer's runtime symbols are resolved at load time
    target_link_options(${name} PRIVATE -Wl,-z,undefs)
  endif()
endfunction()

# nmlbench_add_conformance_test(TARGET [ARGS...]): a ctest that runs the conformance kit on a plugin library. It is
# "Skipped" when a plugin could not be tried for want of parameters: give --param KIND/NAME.KEY=VALUE.
function(nmlbench_add_conformance_test target)
  add_test(NAME conformance.${target} COMMAND nmlbench::nmlbench_conformance $<TARGET_FILE:${target}> ${ARGN})
  set_tests_properties(conformance.${target} PROPERTIES ENVIRONMENT "OMP_WAIT_POLICY=passive" SKIP_RETURN_CODE 77)
endfunction()
