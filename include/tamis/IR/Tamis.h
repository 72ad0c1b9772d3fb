// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The one header clients of the dialects include.
#ifndef TAMIS_IR_TAMIS_H
#define TAMIS_IR_TAMIS_H

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/Dialect/Utils/StructuredOpsUtils.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/Interfaces/ControlFlowInterfaces.h"
#include "mlir/Interfaces/DestinationStyleOpInterface.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "tamis/IR/TamisDialect.h.inc"

#include "tamis/IR/TamisEnums.h.inc"

namespace mlir::tamis {
/// The least and the greatest number of bits that a number system has.
std::pair<int64_t, int64_t> getBitRange(NumberSystem system);
} // namespace mlir::tamis

#include "tamis/IR/TamisAttrInterfaces.h.inc"
#include "tamis/IR/TamisOpInterfaces.h.inc"

#define GET_ATTRDEF_CLASSES
#include "tamis/IR/TamisAttrs.h.inc"

#define GET_OP_CLASSES
#include "tamis/IR/TamisOps.h.inc"

#include "tamis/IR/TamisKernelDialect.h.inc"

#define GET_OP_CLASSES
#include "tamis/IR/TamisKernelOps.h.inc"

#endif // TAMIS_IR_TAMIS_H
