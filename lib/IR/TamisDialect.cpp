// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The two dialects: what belongs to them, and the attributes' methods.
#include "tamis/IR/Tamis.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mlir::tamis;

#include "tamis/IR/TamisDialect.cpp.inc"
#include "tamis/IR/TamisKernelDialect.cpp.inc"

#include "tamis/IR/TamisEnums.cpp.inc"

#include "tamis/IR/TamisAttrInterfaces.cpp.inc"
#include "tamis/IR/TamisOpInterfaces.cpp.inc"

#define GET_ATTRDEF_CLASSES
#include "tamis/IR/TamisAttrs.cpp.inc"

void TamisDialect::initialize() {
  addOperations<
#define GET_OP_LIST
#include "tamis/IR/TamisOps.cpp.inc"
      >();
  addAttributes<
#define GET_ATTRDEF_LIST
#include "tamis/IR/TamisAttrs.cpp.inc"
      >();
}

void kernel::TamisKernelDialect::initialize() {
  addOperations<
#define GET_OP_LIST
#include "tamis/IR/TamisKernelOps.cpp.inc"
      >();
}

bool TargetAttr::hasFeature(StringRef feature) const {
  return llvm::any_of(getFeatures(), [&](StringAttr f) {
    return f.getValue() == feature;
  });
}

std::string TargetAttr::getFeatureString() const {
  std::string text;
  for (StringAttr feature : getFeatures()) {
    if (!text.empty())
      text += ',';
    text += '+';
    text += feature.getValue();
  }
  return text;
}
