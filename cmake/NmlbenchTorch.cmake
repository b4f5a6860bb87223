# Finds LibTorch. Sets TORCH_INCLUDE_DIRS, TORCH_LIBRARIES, TORCH_CXX_FLAGS, and NMLBENCH_CUDA_VERSION ("" on a LibTorch
# without CUDA).
#
# NMLBENCH_TORCH is the folder of a Python package `torch`, which holds include/ and lib/; empty: the distribution's.
# The CMake files inside such a package are not used: they ask for a CUDA compiler, and nothing here needs one.
set(NMLBENCH_TORCH "" CACHE PATH "Folder of a Python package torch to build against; empty: the distribution's LibTorch")

if(NOT NMLBENCH_TORCH)
  find_package(Torch 1.13 REQUIRED)
  set(NMLBENCH_CUDA_VERSION ${CUDA_VERSION})
  # The distribution's LibTorch takes the BLAS and LAPACK that the machine's alternatives name, most often OpenBLAS on threads
  # of its own. Those know nothing of the threads that LibTorch is told to use, and wait by yielding: three to four times the
  # time on a busy machine. Its build on OpenMP obeys, so programs ask for that one by name.
  foreach(library blas lapack)
    set(openmp_blas /usr/lib/${CMAKE_LIBRARY_ARCHITECTURE}/openblas-openmp/lib${library}.so.3)
    if(EXISTS ${openmp_blas})
      list(PREPEND TORCH_LIBRARIES -Wl,--push-state,--no-as-needed,${openmp_blas},--pop-state)
    endif()
  endforeach()
  list(APPEND CMAKE_BUILD_RPATH /usr/lib/${CMAKE_LIBRARY_ARCHITECTURE}/openblas-openmp)
  list(APPEND CMAKE_INSTALL_RPATH /usr/lib/${CMAKE_LIBRARY_ARCHITECTURE}/openblas-openmp)
  return()
endif()

if(NOT EXISTS ${NMLBENCH_TORCH}/lib/libtorch_cpu.so)
  message(FATAL_ERROR "NMLBENCH_TORCH=${NMLBENCH_TORCH}: no lib/libtorch_cpu.so there. It has to be the folder "
    "that python3 -c 'import torch, os; print(os.path.dirname(torch.__file__))' prints")
endif()
# Such a package brings headers of other libraries too (fmt), which would hide the distribution's: only its own are shown.
set(own_headers ${CMAKE_CURRENT_BINARY_DIR}/libtorch-include)
file(MAKE_DIRECTORY ${own_headers})
foreach(folder ATen c10 caffe2 torch)
  file(CREATE_LINK ${NMLBENCH_TORCH}/include/${folder} ${own_headers}/${folder} SYMBOLIC)
endforeach()
set(TORCH_INCLUDE_DIRS ${own_headers} ${own_headers}/torch/csrc/api/include)
set(TORCH_LIBRARIES)
# Its libraries export parts of std::filesystem that they cannot run themselves, so libstdc++ has to come before them;
# libtorch.so, a shim over the others, is not needed.
list(APPEND TORCH_LIBRARIES -Wl,--push-state,--no-as-needed,-lstdc++,--pop-state)
foreach(library torch_cpu c10 torch_cuda c10_cuda)
  if(EXISTS ${NMLBENCH_TORCH}/lib/lib${library}.so)
    # A linker that drops what it sees no use of would drop the CUDA backend, which registers itself.
    list(APPEND TORCH_LIBRARIES -Wl,--push-state,--no-as-needed,${NMLBENCH_TORCH}/lib/lib${library}.so,--pop-state)
  endif()
endforeach()
list(APPEND CMAKE_BUILD_RPATH ${NMLBENCH_TORCH}/lib)
list(APPEND CMAKE_INSTALL_RPATH ${NMLBENCH_TORCH}/lib)

# Strings cross between LibTorch and the distribution's libraries, so both need libstdc++'s present ABI.
file(STRINGS ${NMLBENCH_TORCH}/share/cmake/Torch/TorchConfig.cmake old_abi REGEX "D_GLIBCXX_USE_CXX11_ABI=0")
if(old_abi)
  message(FATAL_ERROR "NMLBENCH_TORCH=${NMLBENCH_TORCH}: built for the C++ ABI of before GCC 5; "
    "PyPI's packages have the present one since PyTorch 2.7 (an empty NMLBENCH_TORCH takes the distribution's LibTorch)")
endif()
set(TORCH_CXX_FLAGS)

set(NMLBENCH_CUDA_VERSION)
if(EXISTS ${NMLBENCH_TORCH}/lib/libtorch_cuda.so)
  file(STRINGS ${NMLBENCH_TORCH}/version.py cuda_line REGEX "^cuda")
  string(REGEX MATCH "[0-9]+\\.[0-9]+" NMLBENCH_CUDA_VERSION "${cuda_line}")
  # CUDA 13's headers are one folder of the packages beside torch; CUDA 12's are one for each library.
  file(GLOB cuda_headers ${NMLBENCH_TORCH}/../nvidia/cu*/include ${NMLBENCH_TORCH}/../nvidia/*/include)
  list(APPEND cuda_headers /usr/local/cuda/include)
  find_path(NMLBENCH_CUDA_HEADERS cuda_runtime_api.h PATHS ${cuda_headers} NO_DEFAULT_PATH)
  if(NOT NMLBENCH_CUDA_HEADERS)
    message(FATAL_ERROR "NMLBENCH_TORCH=${NMLBENCH_TORCH}: no cuda_runtime_api.h of CUDA ${NMLBENCH_CUDA_VERSION} in "
      "nvidia/*/include beside it or in /usr/local/cuda/include")
  endif()
  list(APPEND TORCH_INCLUDE_DIRS ${cuda_headers})
  get_filename_component(cuda_root ${NMLBENCH_CUDA_HEADERS} DIRECTORY)
  file(GLOB cuda_runtime ${cuda_root}/lib/libcudart.so.* ${cuda_root}/lib64/libcudart.so.*)
  list(GET cuda_runtime 0 cuda_runtime)
  list(APPEND TORCH_LIBRARIES ${cuda_runtime})
endif()
message(STATUS "LibTorch: ${NMLBENCH_TORCH} (CUDA: ${NMLBENCH_CUDA_VERSION})")
