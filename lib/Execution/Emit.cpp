// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Emission from first to last step.
#include "tamis/Execution/Emit.h"
#include "Emission.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "tamis/Execution/Header.h"
#include "tamis/Execution/OutputFile.h"
#include "tamis/Gpu/Mapping.h"
#include "tamis/Target/Target.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Bitcode/BitcodeWriter.h"
#include "llvm/IR/Constants.h"
#include "llvm/IR/Instructions.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/Support/BLAKE3.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/Path.h"

using namespace mlir;
using namespace mlir::tamis;
using namespace mlir::tamis::emission;

std::string mlir::tamis::makePrefix(StringRef path) {
  std::string prefix;
  for (char c : llvm::sys::path::stem(path))
    prefix += llvm::isAlnum(c) ? c : '_';
  if (prefix.empty() || prefix == "_")
    return "model";
  // Names of the runtime begin with tamis_.
  if (llvm::isDigit(prefix[0]) || prefix == "tamis" ||
      StringRef(prefix).starts_with("tamis_"))
    prefix = "model_" + prefix;
  return prefix;
}

StringRef mlir::tamis::getVersion() { return TAMIS_VERSION; }

/// Reads what the module says about itself.
static FailureOr<Artifact> readArtifact(ModuleOp module, StringRef path,
                                        const EmitOptions &options) {
  FailureOr<ModelInterface> interface = ModelInterface::get(module);
  if (failed(interface))
    return failure();
  Artifact artifact;
  artifact.interface = std::move(*interface);
  artifact.prefix = options.prefix.empty() ? makePrefix(path) : options.prefix;
  if (artifact.prefix != makePrefix(artifact.prefix))
    return module.emitError("prefix '")
           << artifact.prefix
           << "': expected a C identifier that does not begin with tamis_";
  for (unsigned variant = 0;; ++variant) {
    auto compute = module.lookupSymbol<LLVM::LLVMFuncOp>(
        "tamis_compute_" + std::to_string(variant));
    if (!compute)
      break;
    artifact.targets.push_back(getTarget(compute));
  }
  artifact.device = module->getAttrOfType<DictionaryAttr>(kDeviceAttrName);
  artifact.hasDevice = module.lookupSymbol("tamis_kernels") != nullptr;
  if (artifact.targets.empty())
    return module.emitError("expected a function 'tamis_compute_0'");
  return artifact;
}

/// The size of the workspace if every variant's is the same constant.
static int64_t findWorkspaceBytes(const llvm::Module &module,
                                  const Artifact &artifact) {
  int64_t bytes = -1;
  for (size_t variant = 0; variant < artifact.targets.size(); ++variant) {
    const llvm::Function *function =
        module.getFunction("tamis_workspace_" + std::to_string(variant));
    if (!function || function->size() != 1)
      return -1;
    auto *ret = dyn_cast<llvm::ReturnInst>(function->front().getTerminator());
    auto *value =
        ret ? dyn_cast_or_null<llvm::ConstantInt>(ret->getReturnValue())
            : nullptr;
    if (!value)
      return -1;
    bytes = std::max(bytes, value->getSExtValue());
  }
  return bytes;
}

/// What a loader must know before it maps the file.
static std::string makeNote(const Artifact &artifact, ArrayRef<uint8_t> hash) {
  llvm::json::Array variants;
  for (TargetAttr target : artifact.targets) {
    llvm::json::Array features;
    for (StringAttr name :
         target ? target.getFeatures() : ArrayRef<StringAttr>()) {
      bool known;
      if (findFeature(name.getValue(), known))
        features.push_back(name.getValue());
    }
    variants.push_back(std::move(features));
  }
  llvm::json::Object note{{"abi", TAMIS_ABI_VERSION},
                          {"version", getVersion()},
                          {"arch", "x86_64"},
                          {"prefix", artifact.prefix},
                          {"variants", std::move(variants)},
                          {"hash", llvm::toHex(hash, /*LowerCase=*/true)}};
  return llvm::formatv("{0}", llvm::json::Value(std::move(note))).str();
}

/// The identity of an artifact: of its code and of its weights.
static FailureOr<std::array<uint8_t, 32>>
hashArtifact(ArrayRef<StringRef> objects, const ParameterLayout &parameters) {
  llvm::BLAKE3 hasher;
  for (StringRef object : objects)
    hasher.update(object);
  if (failed(parameters.write([&](ArrayRef<char> bytes) {
        hasher.update(StringRef(bytes.data(), bytes.size()));
        return success();
      })))
    return failure();
  return hasher.final<32>();
}

/// The text (or bitcode) of the kinds that are not linked.
static LogicalResult generateText(llvm::Module &module,
                                  llvm::TargetMachine &machine,
                                  const EmitOptions &options,
                                  SmallVectorImpl<char> &text) {
  optimizeFunctions(module, machine, options.optLevel);
  llvm::raw_svector_ostream output(text);
  switch (options.kind) {
  case EmitOptions::Kind::LLVMIR:
    module.print(output, nullptr);
    return success();
  case EmitOptions::Kind::Bitcode:
    llvm::WriteBitcodeToFile(module, output);
    return success();
  default:
    return generateCode(module, machine, /*assembly=*/true, output);
  }
}

static RuntimeKind getRuntime(const Artifact &artifact) {
  if (artifact.hasDevice)
    return getDevice(artifact.targets.front()) == DeviceKind::Nvptx
               ? RuntimeKind::Cuda
               : RuntimeKind::Vulkan;
  return artifact.interface.threads > 1 ? RuntimeKind::Threaded
                                        : RuntimeKind::Serial;
}

/// Code generation and link: the bytes of the file, weights last.
static LogicalResult writeLinked(ModuleOp source, llvm::Module &module,
                                 const MachineFactory &machine,
                                 const Artifact &artifact,
                                 const ParameterLayout &parameters,
                                 llvm::raw_fd_ostream &output,
                                 const EmitOptions &options) {
  auto code = generateObjects(module, machine, options.optLevel);
  if (failed(code))
    return source.emitError("no object code for this target");
  std::vector<StringRef> objects;
  for (const ObjectCode &object : *code)
    objects.emplace_back(object.data(), object.size());
  auto hash = hashArtifact(objects, parameters);
  if (failed(hash))
    return source.emitError("the bytes of a parameter are gone");
  int64_t weightBytes = parameters.getTotalBytes();
  std::vector<char> extra = buildWeightObject(
      getWeightSymbol(artifact), weightBytes, makeNote(artifact, *hash));
  objects.emplace_back(extra.data(), extra.size());
  RuntimeKind runtime = getRuntime(artifact);
  bool relocatable = options.kind == EmitOptions::Kind::Object;
  auto linked = relocatable
                    ? linkObject(objects, runtime)
                    : linkLibrary(objects, runtime,
                                  ArrayRef<uint8_t>(*hash).take_front(20));
  if (!linked)
    return source.emitError(llvm::toString(linked.takeError()));
  if (!weightBytes) {
    output << *linked;
    return success();
  }
  if (llvm::Error error = appendWeights(std::move(*linked), parameters, output))
    return source.emitError(llvm::toString(std::move(error)));
  return success();
}

LogicalResult mlir::tamis::emitArtifact(ModuleOp source,
                                        const ParameterLayout &parameters,
                                        StringRef outputPath,
                                        const EmitOptions &options) {
  FailureOr<Artifact> artifact = readArtifact(source, outputPath, options);
  if (failed(artifact))
    return failure();
  TargetAttr target = artifact->targets.front();
  auto makeMachine = [&] {
    return createMachine(source, getHostArch(target), options.optLevel);
  };
  auto machine = makeMachine();
  if (!machine)
    return failure();
  llvm::LLVMContext context;
  std::unique_ptr<llvm::Module> module = translate(source, context, *machine);
  if (!module)
    return source.emitError("the module does not translate to LLVM IR");
  if (failed(
          addInterface(source, *module, *artifact, parameters.getTotalBytes())))
    return failure();
  alignStack(*module);
  optimizeModule(*module, *machine, options.optLevel);
  artifact->workspaceBytes =
      artifact->hasDevice ? 0 : findWorkspaceBytes(*module, *artifact);

  bool linked = options.kind == EmitOptions::Kind::SharedLibrary ||
                options.kind == EmitOptions::Kind::Object;
  SmallVector<char, 0> text;
  if (!linked && failed(generateText(*module, *machine, options, text)))
    return source.emitError("no assembly for this target");
  if (linked && outputPath == "-")
    return source.emitError("a library or an object needs an output file");
  if (options.writeHeader && outputPath.ends_with(".h"))
    return source.emitError("'")
           << outputPath << "': its header would have the same name";

  bool isLibrary = options.kind == EmitOptions::Kind::SharedLibrary;
  auto output = OutputFile::open(outputPath, /*isExecutable=*/isLibrary);
  if (!output)
    return source.emitError(llvm::toString(output.takeError()));
  if (linked && failed(writeLinked(source, *module, makeMachine, *artifact,
                                   parameters, (*output)->os(), options)))
    return failure();
  (*output)->os() << StringRef(text.data(), text.size());
  llvm::Error error = (*output)->close();
  if (!error && options.writeHeader) {
    // Nothing is renamed before everything is written.
    SmallString<128> headerPath(outputPath);
    llvm::sys::path::replace_extension(headerPath, "h");
    HeaderFacts facts{artifact->prefix, artifact->workspaceBytes,
                      artifact->hasRunStatic, artifact->hasDevice};
    error = writeFile(headerPath, makeHeader(artifact->interface, facts));
  }
  if (!error)
    error = (*output)->keep();
  if (error)
    return source.emitError(llvm::toString(std::move(error)));
  return success();
}
