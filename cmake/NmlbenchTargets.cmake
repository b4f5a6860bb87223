# Helpers shared by every CMakeLists.txt of this tree.
include(${CMAKE_CURRENT_LIST_DIR}/NmlbenchPlugin.cmake)

add_library(nmlbench_options INTERFACE)
target_compile_options(nmlbench_options INTERFACE -Wall -Wextra)
if(NMLBENCH_SANITIZE)
  target_compile_options(nmlbench_options INTERFACE -fsanitize=${NMLBENCH_SANITIZE} -fno-omit-frame-pointer)
  target_link_options(nmlbench_options INTERFACE -fsanitize=${NMLBENCH_SANITIZE})
endif()

add_library(nmlbench_torch INTERFACE)
target_include_directories(nmlbench_torch SYSTEM INTERFACE ${TORCH_INCLUDE_DIRS})
# at::parallel_for is a header of LibTorch's, and serial in code compiled without OpenMP
target_link_libraries(nmlbench_torch INTERFACE ${TORCH_LIBRARIES} OpenMP::OpenMP_CXX)
separate_arguments(NMLBENCH_TORCH_FLAGS UNIX_COMMAND "${TORCH_CXX_FLAGS}")
target_compile_options(nmlbench_torch INTERFACE ${NMLBENCH_TORCH_FLAGS})

# LibTorch's headers take long to parse: once here, then reused by every target of the tree.
file(WRITE ${CMAKE_BINARY_DIR}/pch.cpp.tmp "// holds the precompiled LibTorch header\n")
file(COPY_FILE ${CMAKE_BINARY_DIR}/pch.cpp.tmp ${CMAKE_BINARY_DIR}/pch.cpp ONLY_IF_DIFFERENT)
add_library(nmlbench_pch OBJECT ${CMAKE_BINARY_DIR}/pch.cpp)
target_link_libraries(nmlbench_pch PUBLIC nmlbench_options nmlbench_torch)
target_precompile_headers(nmlbench_pch PRIVATE ${CMAKE_SOURCE_DIR}/harness/include/nmlbench/torch.h)

# For sources that define a torch::autograd::Function: in LibTorch's custom_function.h GCC 14 sees vector<bool>::reserve()
# copy out of bounds, which it does not (GCC bug 110498).
set(NMLBENCH_AUTOGRAD_FUNCTION_OPTIONS -Wno-array-bounds -Wno-stringop-overflow)

# Compiles the sources of a target several at a time, up to eight of one folder: the templates they instantiate weigh more
# than the code itself. Names in anonymous namespaces have to differ within a folder. Not for sources that set compiler
# options of their own (kernels for one processor).
function(nmlbench_compile_together target)
  if(NMLBENCH_UNITY)
    set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_MODE GROUP)
    cmake_language(EVAL CODE "cmake_language(DEFER CALL nmlbench_group_sources ${target})")  # when all sources are known
  endif()
endfunction()

function(nmlbench_group_sources target)
  get_target_property(sources ${target} SOURCES)
  list(FILTER sources INCLUDE REGEX "\\.cpp$")
  foreach(source ${sources})
    get_filename_component(folder ${source} DIRECTORY)
    string(REPLACE "${CMAKE_SOURCE_DIR}/" "" folder "${folder}")
    string(MAKE_C_IDENTIFIER "${folder}" folder)
    math(EXPR count_${folder} "0${count_${folder}} + 1")
    math(EXPR part "(${count_${folder}} - 1) / 8")
    set_source_files_properties(${source} TARGET_DIRECTORY ${target} PROPERTIES UNITY_GROUP "${folder}_${part}")
  endforeach()
endfunction()

# Applies the tree's warnings and the precompiled header to a target that uses LibTorch, and compiles its sources together
# unless SEPARATELY is given.
function(nmlbench_use_torch target)
  cmake_parse_arguments(PARSE_ARGV 1 use "SEPARATELY" "" "")
  target_link_libraries(${target} PRIVATE nmlbench_options nmlbench_torch)
  target_precompile_headers(${target} REUSE_FROM nmlbench_pch)
  if(NOT use_SEPARATELY)
    nmlbench_compile_together(${target})
  endif()
endfunction()

# For programs that train or encode: the C library's allocator returns each large buffer to the system, which clears it
# when it is wanted again; that took up to half of the time of an encode. Sanitizers bring an allocator of their own.
function(nmlbench_keep_freed_memory target)
  if(NOT NMLBENCH_SANITIZE)
    find_library(NMLBENCH_TCMALLOC tcmalloc_minimal REQUIRED)
    target_link_libraries(${target} PRIVATE "-Wl,--push-state,--no-as-needed" ${NMLBENCH_TCMALLOC} "-Wl,--pop-state")
  endif()
endfunction()

# A bundled plugin library: built like a stranger's, plus the tree's warnings and precompiled header.
function(nmlbench_add_bundled_plugin name)
  nmlbench_add_plugin(${name} ${ARGN})
  nmlbench_use_torch(${name})
  target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR}/plugins)
  target_link_libraries(${name} PRIVATE nmlbench_support)
  set_target_properties(${name} PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/lib/nmlbench/plugins)
  install(TARGETS ${name} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/nmlbench/plugins)
  set_property(GLOBAL APPEND PROPERTY NMLBENCH_BUNDLED_PLUGINS ${name})
endfunction()
