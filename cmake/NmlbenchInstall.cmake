# Install rules and the CMake package: find_package(nmlbench) gives nmlbench::api and nmlbench_add_plugin().
include(CMakePackageConfigHelpers)
set(NMLBENCH_CMAKE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/nmlbench)

install(DIRECTORY harness/include/nmlbench DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(TARGETS nmlbench_api EXPORT nmlbenchTargets LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(EXPORT nmlbenchTargets NAMESPACE nmlbench:: DESTINATION ${NMLBENCH_CMAKE_DIR})
install(FILES cmake/NmlbenchPlugin.cmake cmake/NmlbenchTorch.cmake cmake/nmlbench_plugin.map DESTINATION ${NMLBENCH_CMAKE_DIR})
configure_package_config_file(cmake/nmlbenchConfig.cmake.in ${CMAKE_BINARY_DIR}/nmlbenchConfig.cmake
  INSTALL_DESTINATION ${NMLBENCH_CMAKE_DIR})
write_basic_package_version_file(${CMAKE_BINARY_DIR}/nmlbenchConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/nmlbenchConfig.cmake ${CMAKE_BINARY_DIR}/nmlbenchConfigVersion.cmake
  DESTINATION ${NMLBENCH_CMAKE_DIR})
install(FILES LICENSE README.md DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/nmlbench)
install(DIRECTORY docs DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/nmlbench)
install(DIRECTORY matrices/ DESTINATION ${CMAKE_INSTALL_DATADIR}/nmlbench/matrices FILES_MATCHING PATTERN "*.toml")
