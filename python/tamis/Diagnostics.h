// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A compiler diagnostic as Python sees it: the importer names nodes by
// locations ("node 'conv1' (Conv)"), Python wants the parts.
#ifndef TAMIS_PYTHON_DIAGNOSTICS_H
#define TAMIS_PYTHON_DIAGNOSTICS_H

#include "mlir/IR/Diagnostics.h"
#include <string>
#include <vector>

namespace mlir::tamis {

struct Message {
  std::string severity, text, node, op, file;
};

/// Appends `diagnostic` and its notes' text to `messages`.
void appendMessage(Diagnostic &diagnostic, std::vector<Message> &messages);

} // namespace mlir::tamis

#endif // TAMIS_PYTHON_DIAGNOSTICS_H
