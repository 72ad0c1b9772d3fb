// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The C header that goes with an artifact. It stands alone: a program needs it
// and the library or object, nothing of Tamis.
#ifndef TAMIS_EXECUTION_HEADER_H
#define TAMIS_EXECUTION_HEADER_H

#include "tamis/Execution/Interface.h"

namespace mlir::tamis {

struct HeaderFacts {
  std::string prefix;
  /// The size of the workspace if it is a constant, else -1.
  int64_t workspaceBytes = -1;
  bool hasRunStatic = false;
  bool hasDevice = false;
};

/// The text of the header: documented prototypes with shapes.
std::string makeHeader(const ModelInterface &interface,
                       const HeaderFacts &facts);

} // namespace mlir::tamis

#endif // TAMIS_EXECUTION_HEADER_H
