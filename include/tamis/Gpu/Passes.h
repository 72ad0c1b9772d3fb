// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Passes that make device code: kernels become gpu functions, launches become
// calls of the runtime, gpu functions become binaries.
#ifndef TAMIS_GPU_PASSES_H
#define TAMIS_GPU_PASSES_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"
#include "tamis/Gpu/Tensor.h"

namespace mlir {
namespace arith {
class ArithDialect;
}
namespace func {
class FuncDialect;
}
namespace gpu {
class GPUDialect;
}
namespace LLVM {
class LLVMDialect;
}
namespace ml_program {
class MLProgramDialect;
}
namespace memref {
class MemRefDialect;
}
namespace ml_program {
class MLProgramDialect;
}
namespace NVVM {
class NVVMDialect;
}
namespace scf {
class SCFDialect;
}
namespace spirv {
class SPIRVDialect;
}
namespace tensor {
class TensorDialect;
}
namespace tamis {

#define GEN_PASS_DECL
#include "tamis/Gpu/Passes.h.inc"

#define GEN_PASS_REGISTRATION
#include "tamis/Gpu/Passes.h.inc"

/// The constant of the host module that holds the PTX of its kernels.
inline constexpr llvm::StringLiteral kPtxName = "tamis_ptx";
/// And the cubin of that text.
inline constexpr llvm::StringLiteral kCubinName = "tamis_cubin";

} // namespace tamis
} // namespace mlir

#endif // TAMIS_GPU_PASSES_H
