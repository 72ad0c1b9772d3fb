// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What is known of devices without measuring: facts of a profile.
#ifndef TAMIS_LIB_TARGET_DEVICEFACTS_H
#define TAMIS_LIB_TARGET_DEVICEFACTS_H

#include "tamis/IR/Tamis.h"

namespace mlir::tamis {

/// Facts of the chip of `target` by name (docs/Profile.md); none of a CPU or of
/// a device that could be any.
ArrayRef<std::pair<StringLiteral, double>> getDeviceFacts(TargetAttr target);

} // namespace mlir::tamis

#endif // TAMIS_LIB_TARGET_DEVICEFACTS_H
