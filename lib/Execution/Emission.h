// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The steps of emission, in the order emitArtifact takes them.
#ifndef TAMIS_LIB_EXECUTION_EMISSION_H
#define TAMIS_LIB_EXECUTION_EMISSION_H

#include "tamis/Execution/CodeGeneration.h"
#include "tamis/Execution/Emit.h"
#include "tamis/Execution/Interface.h"
#include "tamis/IR/Tamis.h"
#include "tamis/Runtime/Runtime.h"
#include "llvm/IR/Module.h"
#include "llvm/Support/raw_ostream.h"
#include "llvm/Target/TargetMachine.h"
#include <array>
#include <functional>

namespace mlir::tamis::emission {

/// A model's machine for each variant, and what the artifact says about it.
struct Artifact {
  ModelInterface interface;
  std::vector<TargetAttr> targets; // one per variant
  std::string prefix;
  /// The size of the workspace where it is a constant, else -1.
  int64_t workspaceBytes = -1;
  bool hasRunStatic = false;
  /// The model has kernels for a device.
  bool hasDevice = false;
  /// What `--tamis-map-to-gpu` decided; null for the CPU.
  DictionaryAttr device;
};

/// The cpuid row of an LLVM feature name; null for features that are only
/// tuning or that no row is known for (`known` tells which).
const tamis_feature *findFeature(StringRef name, bool &known);

/// Module in the LLVM dialect -> LLVM IR for `machine`, each function with the
/// features of its `tamis.target`.
std::unique_ptr<llvm::Module> translate(ModuleOp module,
                                        llvm::LLVMContext &context,
                                        llvm::TargetMachine &machine);

/// Adds to `module` the constant that describes it to the runtime and the
/// public functions, and makes all else local.
LogicalResult addInterface(ModuleOp source, llvm::Module &module,
                           Artifact &artifact, int64_t weightBytes);

/// Aligns all frames to cache lines: vectors that registers have no room for
/// lie there, and one that straddles lines is slow. Functions that C enters
/// align themselves; the others, which are local, then find the stack aligned
/// and need no register for that.
void alignStack(llvm::Module &module);

/// The JSON text `describe` returns.
std::string describe(const Artifact &artifact);

/// The TargetMachine for `arch` ("x86_64"); null with an error at `source`.
std::unique_ptr<llvm::TargetMachine>
createMachine(ModuleOp source, StringRef arch, unsigned optLevel);

/// The contents of one ELF file.
using ObjectCode = llvm::SmallVector<char, 0>;

/// Makes the machine of a module anew, for a thread of its own.
using MachineFactory = std::function<std::unique_ptr<llvm::TargetMachine>()>;

/// Optimizes the functions of `module`, which is left in pieces, and runs
/// LLVM's back end, on several parts at a time. What each part holds depends on
/// the module alone.
FailureOr<std::vector<ObjectCode>>
generateObjects(llvm::Module &module, const MachineFactory &machine,
                unsigned optLevel);

/// The relocatable object that declares the weight section (without bytes)
/// and holds the note.
std::vector<char> buildWeightObject(StringRef weightSymbol, int64_t weightBytes,
                                    StringRef note);

/// Writes the linked ELF `file` with the bytes of `parameters` behind it, its
/// weight section (and segment) referring to them. Errors of `output` are its
/// owner's to tell.
llvm::Error appendWeights(std::string file, const ParameterLayout &parameters,
                          llvm::raw_fd_ostream &output);

/// Which runtime a model is linked with.
enum class RuntimeKind { Serial, Threaded, Vulkan, Cuda };

/// Links `objects` (contents of ELF files) and the runtime: a library's bytes.
llvm::Expected<std::string> linkLibrary(ArrayRef<StringRef> objects,
                                        RuntimeKind runtime,
                                        ArrayRef<uint8_t> buildId);

/// The same as one relocatable object that exports the public functions only.
llvm::Expected<std::string> linkObject(ArrayRef<StringRef> objects,
                                       RuntimeKind runtime);

/// The symbol of the weight section.
inline std::string getWeightSymbol(const Artifact &artifact) {
  return artifact.prefix + "_weights";
}

} // namespace mlir::tamis::emission

#endif // TAMIS_LIB_EXECUTION_EMISSION_H
