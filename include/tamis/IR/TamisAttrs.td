// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Attributes: the target, the policy, the instructions.

#ifndef TAMIS_IR_ATTRS_TD
#define TAMIS_IR_ATTRS_TD

include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/EnumAttr.td"
include "tamis/IR/TamisDialect.td"
include "tamis/IR/TamisInterfaces.td"

class Tamis_Attr<string name, string mnemonic_, list<Trait> traits = []>
    : AttrDef<Tamis_Dialect, name, traits> {
  let mnemonic = mnemonic_;
}

def Tamis_TargetAttr : Tamis_Attr<"Target", "target"> {
  let summary = "one machine to generate code for";
  let description = [{
    A machine is its feature list, never a CPU name: LLVM calls an AMX machine
    `rocketlake`. Cache sizes are bytes per core; `threads` is the upper bound
    of the task split.

    Example: `#tamis.target<"x86_64", ["avx2", "fma"], l1 = 32768, l2 = 1048576, threads = 1>`
  }];
  let parameters = (ins
    StringRefParameter<"LLVM architecture name">:$arch,
    ArrayRefParameter<"::mlir::StringAttr", "LLVM target features">:$features,
    DefaultValuedParameter<"int64_t", "32768">:$l1,
    DefaultValuedParameter<"int64_t", "1048576">:$l2,
    DefaultValuedParameter<"int64_t", "1">:$threads);
  let assemblyFormat = [{
    `<` $arch `,` `[` $features `]` (`,` `l1` `=` $l1^)? (`,` `l2` `=` $l2^)?
    (`,` `threads` `=` $threads^)? `>`
  }];
  let extraClassDeclaration = [{
    /// True if the feature list holds `feature` (without `+`).
    bool hasFeature(::llvm::StringRef feature) const;
    /// The features as LLVM spells a feature string: `+avx2,+fma`.
    std::string getFeatureString() const;
  }];
}

def Tamis_PolicyAttr : Tamis_Attr<"Policy", "policy"> {
  let summary = "what numeric freedom the passes have";
  let description = [{
    `strict` asks every quantized operation to equal its QLinear formula bit
    for bit and forbids reassociation of float sums. `allow_bf16` permits
    bfloat16 products of float32 operands.

    Example: `#tamis.policy<strict = true>`
  }];
  let parameters = (ins DefaultValuedParameter<"bool", "false">:$strict,
                        DefaultValuedParameter<"bool", "false">:$allowBf16);
  let assemblyFormat = "`<` struct(params) `>`";
}

#endif // TAMIS_IR_ATTRS_TD
