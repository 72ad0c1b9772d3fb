// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// How one operation on buffers becomes device code. Mappings are asked in
// order, the generic one last; a better one for some operations is one more
// row of `getGpuMappings`.
#ifndef TAMIS_GPU_MAPPING_H
#define TAMIS_GPU_MAPPING_H

#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/IR/Builders.h"
#include "mlir/Support/LLVM.h"
#include <string>

namespace mlir::tamis {

/// The module attribute that says what `--tamis-map-to-gpu` has decided:
/// `kernels` is the number of functions with device code, `host` lists the
/// others as dictionaries of `kernel` and `reason`. Where the profile knows the
/// device, `others` lists the kernels that are no contractions: `kernel`,
/// `mapping`, `calls`, `predicted` (microseconds of a call). `attention`, if
/// there is any, is what `--tamis-group-attention` has noted.
inline constexpr llvm::StringLiteral kDeviceAttrName = "tamis.device";

/// The module attribute in which `--tamis-group-attention` notes each pair of
/// products with rows between them: `layer`, the second one's origin; `rows`
/// and `length` of a strip, or the `reason` why they stay apart.
inline constexpr llvm::StringLiteral kAttentionAttrName = "tamis.attention";

/// A function without arguments that stands for waiting until all launches are
/// done; lowering launches replaces its calls. (Upstream's canonicalization
/// removes a `gpu.wait` that waits for no token.)
inline constexpr llvm::StringLiteral kWaitName = "tamis_device_wait";

/// Builds the launch of one operation.
///
/// `build` is called with a builder in the host function, in front of `op`, and
/// emits there what computes the launch and one or several `gpu.launch` that
/// together do what `op` does, in this order; the caller then erases `op`, and
/// upstream's `--gpu-kernel-outlining` makes functions of the bodies. Inside a
/// body, memrefs and index values of the host function may be used as they are;
/// workgroup memory is a workgroup attribution.
struct GpuMapping {
  llvm::StringLiteral name;
  /// Whether it is for operations like `op`.
  bool (*handles)(Operation *op);
  /// Why the mapping does not take `op`; empty if it does.
  std::string (*refuse)(Operation *op);
  void (*build)(OpBuilder &b, Operation *op);
};

/// All mappings, best first.
ArrayRef<GpuMapping> getGpuMappings();

/// The generic mapping (lib/Gpu/MapElements.cpp): one invocation per element
/// of the result, reductions in sequence.
std::string refuseElements(Operation *op);
void buildElements(OpBuilder &b, Operation *op);

/// Rows (lib/Gpu/MapRows.cpp): what `--tamis-fuse-rows=lanes` put together
/// becomes one launch, in which the lanes of a row work on its elements.
bool areRows(Operation *op);
std::string refuseRows(Operation *op);
void buildRows(OpBuilder &b, Operation *op);

/// Attention (lib/Gpu/AttentionKernel.cpp): what `--tamis-group-attention` put
/// together, a strip of rows of scores for each workgroup. What could be
/// against it that pass has asked.
bool isAttention(Operation *op);
void buildAttention(OpBuilder &b, Operation *op);

/// Contractions that carry fragments (lib/Gpu/ContractionKernel.cpp): tiles
/// through workgroup memory, products of warps, the epilogue on registers.
std::string refuseFragments(Operation *op);
void buildFragments(OpBuilder &b, Operation *op);

} // namespace mlir::tamis

#endif // TAMIS_GPU_MAPPING_H
