// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// PTX by LLVM's own back end, in this process. Upstream's serializer would do
// the same, but links libdevice, which is not everywhere; kernels need none of
// it (`--tamis-expand-math`).
#include "Nvptx.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "tamis/Execution/CodeGeneration.h"
#include "llvm-c/Target.h"
#include "llvm/Linker/Linker.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"

#include <mutex>

using namespace mlir;
using namespace mlir::tamis;

/// The first version with ordered metadata of sparse products; drivers since
/// CUDA 12.5 take it.
static constexpr llvm::StringLiteral kPtxVersion = "+ptx85";

StringRef device::getChip(TargetAttr target) {
  for (StringAttr feature : target.getFeatures())
    if (feature.getValue().starts_with("sm_"))
      return feature.getValue();
  return "sm_80";
}

static std::unique_ptr<llvm::TargetMachine> createMachine(StringRef chip,
                                                          std::string &error) {
  static std::once_flag once;
  std::call_once(once, [] {
    LLVMInitializeNVPTXTargetInfo();
    LLVMInitializeNVPTXTarget();
    LLVMInitializeNVPTXTargetMC();
    LLVMInitializeNVPTXAsmPrinter();
  });
  llvm::Triple triple("nvptx64-nvidia-cuda");
  const llvm::Target *target =
      llvm::TargetRegistry::lookupTarget(triple, error);
  if (!target)
    return nullptr;
  // Products and sums stay apart unless written as one: `mul.rn`, which ptxas
  // never contracts.
  llvm::TargetOptions options;
  options.AllowFPOpFusion = llvm::FPOpFusion::Strict;
  return std::unique_ptr<llvm::TargetMachine>(target->createTargetMachine(
      triple, chip, kPtxVersion, options, std::nullopt, std::nullopt,
      llvm::CodeGenOptLevel::Aggressive));
}

FailureOr<std::string> device::serializePtx(ArrayRef<gpu::GPUModuleOp> modules,
                                            TargetAttr target) {
  gpu::GPUModuleOp first = modules.front();
  std::string error;
  std::unique_ptr<llvm::TargetMachine> machine =
      createMachine(getChip(target), error);
  if (!machine)
    return first.emitError("no code generator for NVIDIA devices: ") << error;
  llvm::LLVMContext context;
  auto all = std::make_unique<llvm::Module>("tamis", context);
  all->setTargetTriple(machine->getTargetTriple());
  all->setDataLayout(machine->createDataLayout());
  llvm::Linker linker(*all);
  for (gpu::GPUModuleOp module : modules) {
    std::unique_ptr<llvm::Module> one =
        translateModuleToLLVMIR(module, context, module.getName());
    if (!one)
      return failure();
    one->setTargetTriple(machine->getTargetTriple());
    one->setDataLayout(machine->createDataLayout());
    if (linker.linkInModule(std::move(one)))
      return module.emitError("does not link with the other kernels");
  }
  emission::optimizeModule(*all, *machine, /*optLevel=*/3);
  llvm::SmallString<0> text;
  llvm::raw_svector_ostream stream(text);
  if (failed(emission::generateCode(*all, *machine, /*assembly=*/true, stream)))
    return first.emitError("NVIDIA's code generator writes no text");
  return text.str().str();
}
