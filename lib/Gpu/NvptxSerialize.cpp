// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// PTX by LLVM's own back end, in this process. Upstream's serializer would do
// the same, but links libdevice, which is not everywhere; kernels need none of
// it (`--tamis-expand-math`).
#include "Nvptx.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "llvm-c/Target.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/Linker/Linker.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Passes/PassBuilder.h"
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

static void optimize(llvm::Module &module, llvm::TargetMachine &machine) {
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager components;
  llvm::ModuleAnalysisManager modules;
  llvm::PassBuilder builder(&machine);
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(components);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, components, modules);
  builder.buildPerModuleDefaultPipeline(llvm::OptimizationLevel::O3)
      .run(module, modules);
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
  optimize(*all, *machine);
  llvm::SmallString<0> text;
  llvm::raw_svector_ostream stream(text);
  llvm::legacy::PassManager passes;
  if (machine->addPassesToEmitFile(passes, stream, nullptr,
                                   llvm::CodeGenFileType::AssemblyFile))
    return first.emitError("NVIDIA's code generator writes no text");
  passes.run(*all);
  return text.str().str();
}
