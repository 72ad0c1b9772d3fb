// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Machines: from the host or a `--target` string to `#tamis.target`, and the
// ordered table of instructions each machine has.
#ifndef TAMIS_TARGET_TARGET_H
#define TAMIS_TARGET_TARGET_H

#include "tamis/IR/Tamis.h"
#include "tamis/Target/Device.h"

namespace mlir::tamis {

/// The module attribute that names the machine to generate code for.
inline constexpr llvm::StringLiteral kTargetAttrName = "tamis.target";

/// The machine this process runs on: its features, cache sizes and, as the
/// upper bound of the task split, `threads`.
TargetAttr hostTarget(MLIRContext *context, int64_t threads = 1);

/// Reads a `--target` string: names (`native`, `x86-64`, `x86-64-v2` to
/// `x86-64-v4`, `amx`, `aarch64`, `vulkan`, `nvptx:sm_80`, `nvptx:sm_89`,
/// `nvptx:sm_90a`) and LLVM features, separated by commas. Each name begins a
/// target of the artifact, features add to the one before them. A target with
/// a device is the only one of its artifact; its features are those of the
/// host's code, and `mma` and `mma-sp`: products of tensor cores, which only
/// NVIDIA's code has and others compute in scalar code, for tests.
/// Reports what it does not know through `emitError`.
FailureOr<SmallVector<TargetAttr>>
parseTargets(MLIRContext *context, StringRef text, int64_t threads,
             function_ref<InFlightDiagnostic()> emitError);

/// The module attribute that says what numeric freedom the passes have.
inline constexpr llvm::StringLiteral kPolicyAttrName = "tamis.policy";

/// True if the policy around `op` fixes every rounding and the order of sums.
bool isStrict(Operation *op);

/// True if the policy around `op` permits bfloat16 products of float32.
bool allowsBf16(Operation *op);

/// The target of `op` or the nearest operation around it that names one; null
/// where none does.
TargetAttr getTarget(Operation *op);

/// The device `target` means; none for null.
DeviceKind getDevice(TargetAttr target);

/// The features of the host's code for `target`.
SmallVector<StringRef> getHostFeatures(TargetAttr target);

/// The architecture of the host's code for `target`, as LLVM spells it.
StringRef getHostArch(TargetAttr target);

/// The instructions `target` has, best first. Those that treat subnormal
/// bfloat16 as zero are among them only with `allowBf16`.
SmallVector<InstructionAttrInterface> getInstructions(TargetAttr target,
                                                      bool allowBf16 = false);

/// Those for weights of 4 bits and for weights with scales in blocks, which are
/// better than the others where they suit.
SmallVector<InstructionAttrInterface> getBlockInstructions(TargetAttr target);

/// Rows of the table that need no particular architecture.
void appendGenericInstructions(
    TargetAttr target, SmallVectorImpl<InstructionAttrInterface> &table);

/// Rows of the table for x86-64.
void appendX86Instructions(TargetAttr target, bool allowBf16,
                           SmallVectorImpl<InstructionAttrInterface> &table);
void appendX86BlockInstructions(
    TargetAttr target, SmallVectorImpl<InstructionAttrInterface> &table);

/// The ways `target` has to expand bitmasks.
SmallVector<ExpansionAttrInterface> getExpansions(TargetAttr target);

/// The instructions of `target` that multiply weights of which each step keeps
/// few (see SelectionAttrInterface), those that keep fewest first.
SmallVector<InstructionAttrInterface> getSelections(TargetAttr target);

/// The ways `target` has to read weights through a table.
SmallVector<LookupAttrInterface> getLookups(TargetAttr target);

/// Those of x86-64.
void appendX86Selections(TargetAttr target,
                         SmallVectorImpl<InstructionAttrInterface> &table);
void appendX86Lookups(TargetAttr target,
                      SmallVectorImpl<LookupAttrInterface> &table);
void appendX86Expansions(TargetAttr target,
                         SmallVectorImpl<ExpansionAttrInterface> &table);

} // namespace mlir::tamis

#endif // TAMIS_TARGET_TARGET_H
