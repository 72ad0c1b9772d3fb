// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Passes that leave the dialect. Options and descriptions: Passes.td.
#ifndef TAMIS_CONVERSION_PASSES_H
#define TAMIS_CONVERSION_PASSES_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

namespace mlir {
namespace affine {
class AffineDialect;
}
namespace func {
class FuncDialect;
}
namespace arith {
class ArithDialect;
}
namespace linalg {
class LinalgDialect;
}
namespace tensor {
class TensorDialect;
}
namespace memref {
class MemRefDialect;
}
namespace bufferization {
class BufferizationDialect;
}
namespace LLVM {
class LLVMDialect;
}
namespace math {
class MathDialect;
}
namespace vector {
class VectorDialect;
}
namespace scf {
class SCFDialect;
}
namespace cf {
class ControlFlowDialect;
}
namespace tamis {

#define GEN_PASS_DECL
#include "tamis/Conversion/Passes.h.inc"

#define GEN_PASS_REGISTRATION
#include "tamis/Conversion/Passes.h.inc"

} // namespace tamis
} // namespace mlir

#endif // TAMIS_CONVERSION_PASSES_H
