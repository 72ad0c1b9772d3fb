// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What the cost models know of a machine: built in for a feature list, or read
// from a file, whose form docs/Profile.md describes.
#ifndef TAMIS_TARGET_PROFILE_H
#define TAMIS_TARGET_PROFILE_H

#include "tamis/IR/Tamis.h"

namespace mlir::tamis {

/// The module attribute that holds the profile of its target.
inline constexpr llvm::StringLiteral kProfileAttrName = "tamis.profile";

/// All facts about `target` that are known without a file; nothing measured.
ProfileAttr getDefaultProfile(TargetAttr target);

/// The profile of `op` or the nearest operation around it that has one; the
/// default of `target` where none has.
ProfileAttr getProfile(Operation *op, TargetAttr target);

/// A fact by its name, built in where the profile does not say. The name has
/// to be one of those in Profile.cpp.
double getFact(ProfileAttr profile, StringRef name);

/// Cycles that one vector of products of `instruction` costs.
double getCycles(ProfileAttr profile, InstructionAttrInterface instruction);

/// Reads the text of a profile: one attribute for each of `targets`, the
/// default where the file is of another feature list. Reports what is
/// malformed, and a file that is of none of the targets, through `emitError`.
FailureOr<SmallVector<ProfileAttr>>
readProfile(StringRef text, ArrayRef<TargetAttr> targets,
            function_ref<InFlightDiagnostic()> emitError);

/// The text that `readProfile` reads.
std::string writeProfile(TargetAttr target, ProfileAttr profile);

} // namespace mlir::tamis

#endif // TAMIS_TARGET_PROFILE_H
