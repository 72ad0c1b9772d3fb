# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# The install tree: tools, libTamis.so, the plugin, headers (the generated ones
# too) and what find_package(Tamis) reads. Libraries and tools are installed
# where they are defined.
include(CMakePackageConfigHelpers)
set(package lib/cmake/Tamis)
install(DIRECTORY ${CMAKE_SOURCE_DIR}/include/ DESTINATION include
  FILES_MATCHING PATTERN "*.h" PATTERN "*.td")
install(DIRECTORY ${CMAKE_BINARY_DIR}/include/ DESTINATION include
  FILES_MATCHING PATTERN "*.inc" PATTERN "CMakeFiles" EXCLUDE)
configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/TamisConfig.cmake.in
  ${CMAKE_BINARY_DIR}/TamisConfig.cmake INSTALL_DESTINATION ${package})
write_basic_package_version_file(${CMAKE_BINARY_DIR}/TamisConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/TamisConfig.cmake
  ${CMAKE_BINARY_DIR}/TamisConfigVersion.cmake DESTINATION ${package})
install(FILES ${CMAKE_SOURCE_DIR}/LICENSE DESTINATION share/doc/tamis)
