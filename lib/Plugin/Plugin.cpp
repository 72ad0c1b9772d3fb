// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What `TamisPlugin.so` hands to `mlir-opt`. The names differ from those that
// `mlir-opt` looks up, so that libTamis.so itself, which has no version check
// in front of it, is not taken for a plugin.
#include "mlir/Tools/Plugins/DialectPlugin.h"
#include "mlir/Tools/Plugins/PassPlugin.h"
#include "tamis/InitAll.h"

using namespace mlir;

extern "C" LLVM_ATTRIBUTE_VISIBILITY_DEFAULT DialectPluginLibraryInfo
tamisGetDialectPluginInfo() {
  return {
      MLIR_PLUGIN_API_VERSION, "Tamis", TAMIS_VERSION,
      [](DialectRegistry *registry) { tamis::registerAllDialects(*registry); }};
}

extern "C" LLVM_ATTRIBUTE_VISIBILITY_DEFAULT PassPluginLibraryInfo
tamisGetPassPluginInfo() {
  return {MLIR_PLUGIN_API_VERSION, "Tamis", TAMIS_VERSION,
          [] { tamis::registerAllPasses(); }};
}
