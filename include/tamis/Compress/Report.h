// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The report of compression: what was decided about which tensor, and why. It
// is the module attribute `tamis.compression` (kReportAttrName), an array of
// dictionaries that every pass appends to.
#ifndef TAMIS_COMPRESS_REPORT_H
#define TAMIS_COMPRESS_REPORT_H

#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinOps.h"
#include "tamis/Compress/Delta.h"

namespace mlir::tamis {

/// Collects the decisions of one pass and appends them when it ends.
class Report {
public:
  Report(ModuleOp module, StringRef pass)
      : module(module), pass(pass), b(module.getContext()) {}
  ~Report();

  /// `layer` is the node's name, `tensor` the tensor's. `numbers` are further
  /// entries: bits, scale, range and so on.
  void add(StringRef layer, StringRef tensor, StringRef decision,
           const Twine &reason, ArrayRef<NamedAttribute> numbers = {});

  NamedAttribute number(StringRef name, double value) {
    return b.getNamedAttr(name, b.getF64FloatAttr(value));
  }
  NamedAttribute number(StringRef name, int64_t value) {
    return b.getNamedAttr(name, b.getI64IntegerAttr(value));
  }
  NamedAttribute text(StringRef name, StringRef value) {
    return b.getNamedAttr(name, b.getStringAttr(value));
  }

private:
  ModuleOp module;
  StringRef pass;
  Builder b;
  SmallVector<Attribute> entries;
};

/// The node that an operation was imported from: its name, or the first output
/// of a node without one; and its type ("Conv"). Both are empty where the
/// location does not say.
struct NodeName {
  StringRef name, type;
};
NodeName getNode(Operation *op);

} // namespace mlir::tamis

#endif // TAMIS_COMPRESS_REPORT_H
