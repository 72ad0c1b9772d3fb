// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The internal dialect `tamis_gpu`: fragment instructions, contractions that
// carry one, and the tables that say which machine has which.
#ifndef TAMIS_GPU_TENSOR_H
#define TAMIS_GPU_TENSOR_H

#include "tamis/Gpu/Fragments.h"
#include "tamis/IR/Tamis.h"

#include "tamis/Gpu/TensorDialect.h.inc"

#include "tamis/Gpu/TensorInterfaces.h.inc"

#define GET_ATTRDEF_CLASSES
#include "tamis/Gpu/TensorAttrs.h.inc"

#define GET_OP_CLASSES
#include "tamis/Gpu/TensorOps.h.inc"

namespace mlir {
class DialectRegistry;
namespace tamis::device {

/// The fragment instructions of `target`, best first. Features `mma` and
/// `mma-sp` are tensor cores; where its device is not NVIDIA's they are
/// emulated.
SmallVector<FragmentAttrInterface> getFragments(TargetAttr target);

/// True if a fragment of `target`, which may be null, multiplies float16 by
/// float16: models then keep it from the first operation to the last.
bool multipliesHalf(TargetAttr target);

/// Lets one-shot bufferization take contractions.
void registerTensorExternalModels(DialectRegistry &registry);

/// The place of the bits of 2:4 metadata: which lane has, for `channel` of a
/// fragment (0 to 15) and `chunk` (four elements each, 0 to 15), two fields of
/// two bits from bit `shift` on. NVIDIA, PTX ISA, "Matrix fragments for sparse
/// mma.m16n8k64"; the same order as CUTLASS's `reorder_meta`.
struct MetadataPlace {
  int64_t lane, shift;
};
MetadataPlace getMetadataPlace(int64_t channel, int64_t chunk);

} // namespace tamis::device
} // namespace mlir

#endif // TAMIS_GPU_TENSOR_H
