// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// From the LLVM dialect to LLVM IR.
#include "Emission.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MLProgram/IR/MLProgram.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "tamis/Target/Target.h"

using namespace mlir;
using namespace mlir::tamis;

/// Tells LLVM what `function` may use. The CPU stays the baseline, so that
/// only the feature list decides.
static void setTarget(llvm::Function &function, TargetAttr target) {
  function.addFnAttr("target-cpu", "x86-64");
  if (!target)
    return;
  std::string features;
  for (StringRef feature : getHostFeatures(target))
    features += (features.empty() ? "+" : ",+") + feature.str();
  function.addFnAttr("target-features", features);
  bool has512 = target.hasFeature("avx512f");
  function.addFnAttr("tune-cpu", has512                      ? "x86-64-v4"
                                 : target.hasFeature("avx2") ? "x86-64-v3"
                                                             : "x86-64");
  // The generic tuning avoids 512-bit vectors, for old machines' clocks.
  if (has512)
    function.addFnAttr("prefer-vector-width", "512");
}

std::unique_ptr<llvm::Module>
emission::translate(ModuleOp source, llvm::LLVMContext &context,
                    llvm::TargetMachine &machine) {
  DialectRegistry registry;
  registerBuiltinDialectTranslation(registry);
  registerLLVMDialectTranslation(registry);
  source.getContext()->appendDialectRegistry(registry);

  // The parameters stay behind; so do attributes of other dialects.
  OwningOpRef<ModuleOp> copy;
  ModuleOp input = source;
  if (!source.getOps<ml_program::GlobalOp>().empty()) {
    copy = source.clone();
    for (auto global :
         llvm::make_early_inc_range(copy->getOps<ml_program::GlobalOp>()))
      global.erase();
    input = *copy;
  }
  std::unique_ptr<llvm::Module> module =
      translateModuleToLLVMIR(input, context, "tamis");
  if (!module)
    return nullptr;
  module->setTargetTriple(machine.getTargetTriple());
  module->setDataLayout(machine.createDataLayout());
  module->setPICLevel(llvm::PICLevel::BigPIC);
  for (auto function : source.getOps<LLVM::LLVMFuncOp>()) {
    llvm::Function *translated = module->getFunction(function.getSymName());
    if (!translated || translated->isDeclaration())
      continue;
    setTarget(*translated, getTarget(function));
    // No frame of a model is ever unwound through.
    translated->setDoesNotThrow();
  }
  return module;
}

void emission::alignStack(llvm::Module &module) {
  constexpr unsigned kLineBytes = 64;
  module.setOverrideStackAlignment(kLineBytes);
  for (llvm::Function &function : module)
    if (!function.isDeclaration() &&
        (!function.hasLocalLinkage() || function.hasAddressTaken()))
      function.addFnAttr("stackrealign");
}
