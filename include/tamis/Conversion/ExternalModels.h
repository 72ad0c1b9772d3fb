// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Upstream interfaces that this project implements anew.
#ifndef TAMIS_CONVERSION_EXTERNALMODELS_H
#define TAMIS_CONVERSION_EXTERNALMODELS_H

namespace mlir {
class DialectRegistry;
namespace tamis {

/// `SubsetOpInterface` of `tensor.insert_slice`, with a cheap answer where
/// offsets, sizes and strides are equal or differ as constants. The first
/// registration of an interface counts, so call it before upstream's.
void registerSubsetModels(DialectRegistry &registry);

} // namespace tamis
} // namespace mlir

#endif // TAMIS_CONVERSION_EXTERNALMODELS_H
