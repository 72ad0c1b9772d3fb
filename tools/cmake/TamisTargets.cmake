# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# The shapes of target this project has. Debian's MLIR CMake targets are the
# static archives, so everything names the shared libraries MLIR and LLVM.

# tamis_add_library(NAME): an object library of the current folder's sources
# (one level of sub-folders included), part of libTamis.
function(tamis_add_library name)
  file(GLOB sources CONFIGURE_DEPENDS *.cpp */*.cpp)
  if(NOT sources)
    return()
  endif()
  add_library(${name} OBJECT ${sources})
  add_dependencies(${name} TamisHeaders)
  # HandleLLVMOptions switches exceptions off; libraries that a C++ host
  # embeds keep that promise.
  target_compile_options(${name} PRIVATE "SHELL:-Xclang -fno-pch-timestamp")
  if(NOT name STREQUAL "TamisIR")
    target_precompile_headers(${name} REUSE_FROM TamisIR)
  endif()
  set_property(GLOBAL APPEND PROPERTY TAMIS_LIBRARIES ${name})
endfunction()

# tamis_add_tool(NAME): one executable of the current folder's sources.
function(tamis_add_tool name)
  file(GLOB sources CONFIGURE_DEPENDS *.cpp)
  if(NOT sources)
    return()
  endif()
  add_executable(${name} ${sources})
  target_link_libraries(${name} PRIVATE Tamis MLIR LLVM)
  install(TARGETS ${name} RUNTIME DESTINATION bin)
endfunction()
