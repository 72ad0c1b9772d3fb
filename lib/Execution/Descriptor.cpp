// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Joins generated code and runtime: the constant that tells the runtime what
// the model is, and the public names.
#include "Emission.h"
#include "tamis/Target/Target.h"
#include "llvm/IR/Constants.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/Support/JSON.h"
#include "llvm/Transforms/IPO/Internalize.h"

#include <map>

using namespace mlir;
using namespace mlir::tamis;
using namespace mlir::tamis::emission;

static std::string toUTF8(StringRef text) {
  return llvm::json::isUTF8(text) ? text.str() : llvm::json::fixUTF8(text);
}

static llvm::json::Array
describeTensors(const std::vector<InterfaceTensor> &tensors) {
  llvm::json::Array list;
  for (const InterfaceTensor &tensor : tensors) {
    llvm::json::Array shape;
    for (const InterfaceDim &dim : tensor.dims)
      if (dim.isStatic())
        shape.push_back(dim.size);
      else
        shape.push_back(toUTF8(dim.symbol));
    llvm::json::Object fields{{"name", toUTF8(tensor.name)},
                              {"dtype", tensor.dtype},
                              {"shape", std::move(shape)}};
    if (!tensor.state.empty())
      fields["state"] = toUTF8(tensor.state);
    list.push_back(std::move(fields));
  }
  return list;
}

static llvm::json::Object describeFacts(DictionaryAttr facts) {
  llvm::json::Object object;
  for (NamedAttribute fact : facts) {
    std::string key = toUTF8(fact.getName().getValue());
    if (auto text = dyn_cast<StringAttr>(fact.getValue()))
      object[key] = toUTF8(text.getValue());
    else if (auto number = dyn_cast<IntegerAttr>(fact.getValue()))
      object[key] = number.getInt();
    else if (auto real = dyn_cast<FloatAttr>(fact.getValue()))
      object[key] = real.getValueAsDouble();
    else if (auto numbers = dyn_cast<DenseI64ArrayAttr>(fact.getValue()))
      object[key] = llvm::json::Array(numbers.asArrayRef());
    else if (auto nested = dyn_cast<DictionaryAttr>(fact.getValue()))
      object[key] = describeFacts(nested);
  }
  return object;
}

/// The layers of a report as JSON objects.
static llvm::json::Array describeLayers(ArrayAttr layers) {
  llvm::json::Array list;
  if (layers)
    for (auto layer : layers.getAsRange<DictionaryAttr>())
      list.push_back(describeFacts(layer));
  return list;
}

std::string emission::describe(const Artifact &artifact) {
  llvm::json::Object ranges, metadata;
  for (auto &[symbol, range] : artifact.interface.ranges)
    ranges[toUTF8(symbol)] = llvm::json::Array{range.first, range.second};
  for (auto &[key, text] : artifact.interface.metadata)
    metadata[toUTF8(key)] = toUTF8(text);
  llvm::json::Object object{
      {"abi", TAMIS_ABI_VERSION},
      {"version", getVersion()},
      {"producer", toUTF8(artifact.interface.producer)},
      {"inputs", describeTensors(artifact.interface.inputs)},
      {"outputs", describeTensors(artifact.interface.outputs)},
      {"ranges", std::move(ranges)},
      {"metadata", std::move(metadata)},
      {"threads", artifact.interface.threads},
      {"layers", describeLayers(artifact.interface.layers)},
      {"run_static", artifact.hasRunStatic}};
  if (DictionaryAttr device = artifact.device) {
    llvm::json::Object facts = describeFacts(device);
    for (StringRef list : {"host", "others", "attention"})
      facts[list] = describeLayers(device.getAs<ArrayAttr>(list));
    object["device"] = std::move(facts);
  }
  return llvm::formatv("{0}", llvm::json::Value(std::move(object))).str();
}

namespace {
/// Builds the C structures of Runtime.h as LLVM constants.
class DescriptorBuilder {
public:
  DescriptorBuilder(llvm::Module &module)
      : module(module), context(module.getContext()),
        pointer(llvm::PointerType::get(context, 0)),
        null(llvm::ConstantPointerNull::get(pointer)) {}

  llvm::Constant *integer(unsigned bits, int64_t value) {
    return llvm::ConstantInt::getSigned(llvm::Type::getIntNTy(context, bits),
                                        value);
  }

  llvm::Constant *structure(ArrayRef<llvm::Constant *> fields) {
    return llvm::ConstantStruct::getAnon(context, fields);
  }

  /// A private constant holding `value`.
  llvm::GlobalVariable *store(llvm::Constant *value) {
    auto *global = new llvm::GlobalVariable(
        module, value->getType(), /*isConstant=*/true,
        llvm::GlobalValue::PrivateLinkage, value, "tamis_data");
    global->setUnnamedAddr(llvm::GlobalValue::UnnamedAddr::Global);
    return global;
  }

  llvm::Constant *text(StringRef text) {
    return store(llvm::ConstantDataArray::getString(context, text));
  }

  llvm::Constant *array(ArrayRef<llvm::Constant *> elements) {
    if (elements.empty())
      return null;
    auto *type =
        llvm::ArrayType::get(elements.front()->getType(), elements.size());
    return store(llvm::ConstantArray::get(type, elements));
  }

  llvm::Constant *tensors(const Artifact &artifact, bool inputs);
  FailureOr<llvm::Constant *> variants(ModuleOp source,
                                       const Artifact &artifact);

  llvm::Module &module;
  llvm::LLVMContext &context;
  llvm::PointerType *pointer;
  llvm::Constant *null;
};
} // namespace

llvm::Constant *DescriptorBuilder::tensors(const Artifact &artifact,
                                           bool inputs) {
  const ModelInterface &interface = artifact.interface;
  std::map<std::string, int64_t> firstUse;
  int64_t position = 0;
  SmallVector<llvm::Constant *> list;
  for (const InterfaceTensor &tensor :
       inputs ? interface.inputs : interface.outputs) {
    SmallVector<llvm::Constant *> dims;
    for (const InterfaceDim &dim : tensor.dims) {
      int64_t minimum = dim.size, maximum = dim.size, sameAs = -1;
      if (!dim.isStatic()) {
        auto range = interface.ranges.find(dim.symbol);
        bool bounded = range != interface.ranges.end();
        minimum = bounded ? range->second.first : 0;
        maximum = bounded ? range->second.second : INT64_MAX;
        auto [first, isNew] = firstUse.try_emplace(dim.symbol, position);
        sameAs = isNew ? -1 : first->second;
      }
      dims.push_back(structure(
          {integer(64, minimum), integer(64, maximum), integer(64, sameAs)}));
      ++position;
    }
    list.push_back(structure({text(tensor.name), inputs ? array(dims) : null,
                              integer(32, tensor.dims.size()),
                              integer(32, getDtypeBytes(tensor.dtype)),
                              integer(32, !inputs && tensor.isUnbounded()),
                              integer(32, 0)}));
  }
  return array(list);
}

FailureOr<llvm::Constant *>
DescriptorBuilder::variants(ModuleOp source, const Artifact &artifact) {
  SmallVector<llvm::Constant *> list;
  for (auto [index, target] : llvm::enumerate(artifact.targets)) {
    SmallVector<llvm::Constant *> features;
    for (StringRef name :
         target ? getHostFeatures(target) : SmallVector<StringRef>()) {
      bool known;
      const tamis_feature *feature = findFeature(name, known);
      if (!known)
        return source.emitError("target feature '")
               << name << "': cannot be checked at run time";
      if (feature)
        features.push_back(
            structure({text(feature->name), integer(32, feature->leaf),
                       integer(32, feature->subleaf), integer(8, feature->reg),
                       integer(8, feature->bit), integer(8, feature->state),
                       integer(8, 0)}));
    }
    std::string suffix = std::to_string(index);
    llvm::Function *compute = module.getFunction("tamis_compute_" + suffix);
    llvm::Function *size = module.getFunction("tamis_workspace_" + suffix);
    if (!compute || compute->isDeclaration() || !size || size->isDeclaration())
      return source.emitError("expected definitions of 'tamis_compute_")
             << suffix << "' and 'tamis_workspace_" << suffix << "'";
    list.push_back(structure(
        {compute, size, array(features), integer(64, features.size())}));
  }
  return array(list);
}

/// Defines <prefix>_`name` as a jump to the runtime's tamis_abi_`name`.
static llvm::Function *exportFunction(llvm::Module &module,
                                      const Artifact &artifact, StringRef name,
                                      llvm::Type *result,
                                      ArrayRef<llvm::Type *> parameters) {
  auto *type = llvm::FunctionType::get(result, parameters, false);
  auto *target = llvm::Function::Create(
      type, llvm::GlobalValue::ExternalLinkage, "tamis_abi_" + name, module);
  target->setVisibility(llvm::GlobalValue::HiddenVisibility);
  target->setDSOLocal(true);
  target->setDoesNotThrow();
  auto *function =
      llvm::Function::Create(type, llvm::GlobalValue::ExternalLinkage,
                             artifact.prefix + "_" + name.str(), module);
  function->setDoesNotThrow();
  llvm::IRBuilder<> builder(
      llvm::BasicBlock::Create(module.getContext(), "", function));
  SmallVector<llvm::Value *> arguments;
  for (llvm::Argument &argument : function->args())
    arguments.push_back(&argument);
  llvm::CallInst *call = builder.CreateCall(target, arguments);
  call->setTailCallKind(llvm::CallInst::TCK_MustTail);
  if (result->isVoidTy())
    builder.CreateRetVoid();
  else
    builder.CreateRet(call);
  return function;
}

/// Defines the public functions and makes everything else local, so that any
/// number of models live in one program.
static void addPublicFunctions(llvm::Module &module, const Artifact &artifact,
                               llvm::GlobalVariable *model) {
  llvm::LLVMContext &context = module.getContext();
  auto *pointer = llvm::PointerType::get(context, 0);
  auto *i32 = llvm::Type::getInt32Ty(context);
  auto *i64 = llvm::Type::getInt64Ty(context);
  auto *none = llvm::Type::getVoidTy(context);
  llvm::SmallPtrSet<const llvm::GlobalValue *, 16> kept = {model};
  auto add = [&](StringRef name, llvm::Type *result,
                 ArrayRef<llvm::Type *> parameters) {
    kept.insert(exportFunction(module, artifact, name, result, parameters));
  };
  add("abi_version", i32, {});
  add("describe", pointer, {});
  add("workspace_size", i64, {pointer});
  add("output_dims", i32, {pointer});
  add("create", i32, {pointer, pointer});
  add("run", i32, {pointer, pointer, pointer, pointer, pointer});
  add("last_error", pointer, {pointer});
  add("destroy", none, {pointer});
  if (artifact.hasRunStatic)
    add("run_static", i32, {pointer, pointer, pointer});
  if (artifact.hasDevice) {
    llvm::Type *real = llvm::Type::getDoubleTy(context);
    add("device_seconds", real, {pointer});
    add("device_copy", real, {pointer, i64});
  }
  llvm::internalizeModule(module, [&](const llvm::GlobalValue &value) {
    return kept.contains(&value);
  });
}

static int64_t countDims(const std::vector<InterfaceTensor> &tensors) {
  int64_t dims = 0;
  for (const InterfaceTensor &tensor : tensors)
    dims += tensor.dims.size();
  return dims;
}

LogicalResult emission::addInterface(ModuleOp source, llvm::Module &module,
                                     Artifact &artifact, int64_t weightBytes) {
  const ModelInterface &interface = artifact.interface;
  // A device is part of an instance.
  artifact.hasRunStatic =
      interface.isStatic() && interface.threads == 1 && !artifact.hasDevice;
  llvm::Function *outputDims = module.getFunction("tamis_output_dims");
  if (!outputDims || outputDims->isDeclaration())
    return source.emitError("expected a definition of 'tamis_output_dims'");
  // The runtime is linked statically; without this, calls would go through
  // the global offset table.
  for (llvm::Function &function : module)
    if (function.isDeclaration() && function.getName().starts_with("tamis_rt_"))
      function.setVisibility(llvm::GlobalValue::HiddenVisibility);

  DescriptorBuilder builder(module);
  FailureOr<llvm::Constant *> variants = builder.variants(source, artifact);
  if (failed(variants))
    return failure();
  llvm::Constant *weights = builder.null;
  if (weightBytes) {
    auto *symbol = new llvm::GlobalVariable(
        module, llvm::Type::getInt8Ty(module.getContext()), true,
        llvm::GlobalValue::ExternalLinkage, nullptr, getWeightSymbol(artifact));
    symbol->setVisibility(llvm::GlobalValue::HiddenVisibility);
    weights = symbol;
  }
  // The table that --tamis-embed-kernels made.
  llvm::GlobalVariable *table =
      module.getGlobalVariable("tamis_kernels", /*AllowInternal=*/true);
  int64_t kernels =
      table ? table->getValueType()->getArrayNumElements() : int64_t(0);
  llvm::GlobalVariable *model = builder.store(builder.structure(
      {builder.text(describe(artifact)), builder.tensors(artifact, true),
       builder.tensors(artifact, false), *variants, outputDims, weights,
       builder.integer(64, weightBytes), table ? table : builder.null,
       builder.integer(32, TAMIS_ABI_VERSION),
       builder.integer(32, interface.inputs.size()),
       builder.integer(32, interface.outputs.size()),
       builder.integer(32, artifact.targets.size()),
       builder.integer(32, countDims(interface.inputs)),
       builder.integer(32, countDims(interface.outputs)),
       builder.integer(32, interface.threads), builder.integer(32, kernels)}));
  model->setName("tamis_model_data");
  model->setLinkage(llvm::GlobalValue::ExternalLinkage);
  model->setVisibility(llvm::GlobalValue::HiddenVisibility);
  addPublicFunctions(module, artifact, model);
  return success();
}
