// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Diagnostics.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/Location.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using namespace mlir::tamis;

static llvm::StringRef severityName(DiagnosticSeverity severity) {
  switch (severity) {
  case DiagnosticSeverity::Error:
    return "error";
  case DiagnosticSeverity::Warning:
    return "warning";
  case DiagnosticSeverity::Remark:
    return "remark";
  case DiagnosticSeverity::Note:
    return "note";
  }
  return "error";
}

/// Fills the node and operator from the first location that names them, and
/// the file and line from the first that has those.
static void readLocation(Location location, Message &message) {
  location->walk([&](Location inner) {
    if (auto name = llvm::dyn_cast<NameLoc>(inner)) {
      llvm::StringRef text = name.getName().strref();
      if (message.node.empty() && text.consume_front("node '")) {
        auto [node, op] = text.rsplit("' (");
        message.node = node.str();
        message.op = op.drop_back(op.ends_with(")")).str();
      }
    } else if (auto file = llvm::dyn_cast<FileLineColLoc>(inner)) {
      if (message.file.empty() && file.getLine())
        message.file =
            (file.getFilename().strref() + ":" + llvm::Twine(file.getLine()) +
             ":" + llvm::Twine(file.getColumn()))
                .str();
    }
    return WalkResult::advance();
  });
}

void mlir::tamis::appendMessage(Diagnostic &diagnostic,
                                std::vector<Message> &messages) {
  Message message;
  message.severity = severityName(diagnostic.getSeverity());
  message.text = diagnostic.str();
  for (Diagnostic &note : diagnostic.getNotes())
    message.text += "; " + note.str();
  readLocation(diagnostic.getLocation(), message);
  // The same words may already begin the text.
  llvm::StringRef text = message.text;
  std::string prefix = "node '" + message.node + "' (" + message.op + "): ";
  if (!message.node.empty() && text.consume_front(prefix))
    message.text = text.str();
  messages.push_back(std::move(message));
}
