// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The session is the compiler taken apart: import, passes on request, and
// compilations of copies.
#include "tamis/Compress/Session.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Transforms/Passes.h"
#include "tamis/Compress/Parameters.h"
#include "tamis/Compress/Passes.h"
#include "tamis/Compress/Statistics.h"
#include "tamis/Import/MappedFiles.h"
#include "tamis/InitAll.h"
#include "tamis/Pipeline/Compilation.h"
#include "tamis/Transforms/ConstantTensor.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;
using namespace mlir::tamis;

Session::Session(const CompileOptions &given, DiagnosticSink sink)
    : options(given), context(createCompilerContext(std::move(sink))) {
  options.import.observe = true;
  static const bool registered = [] {
    registerAllPasses();
    registerCanonicalizerPass();
    registerCSEPass();
    return true;
  }();
  (void)registered;
}

Session::~Session() = default;

InFlightDiagnostic Session::emitError() {
  return mlir::emitError(UnknownLoc::get(context.get()));
}

LogicalResult Session::finishImport(Compilation &compilation) {
  if (failed(compilation.runStage(getStages().front())))
    return failure();
  module = compilation.takeModule();
  return success();
}

LogicalResult Session::load(StringRef path) {
  Compilation compilation(*context, options);
  return failure(failed(compilation.importFile(path)) ||
                 failed(finishImport(compilation)));
}

LogicalResult Session::load(ArrayRef<char> bytes) {
  Compilation compilation(*context, options);
  return failure(failed(compilation.importBytes(bytes)) ||
                 failed(finishImport(compilation)));
}

LogicalResult Session::run(StringRef pipeline) {
  PassManager pm(context.get(), ModuleOp::getOperationName());
  std::string message;
  llvm::raw_string_ostream stream(message);
  if (failed(parsePassPipeline(pipeline, pm, stream)))
    return emitError() << StringRef(message).rtrim();
  return pm.run(*module);
}

SmallVector<ObserveOp> Session::getObservations() {
  SmallVector<ObserveOp> list;
  module->walk([&](ObserveOp op) { list.push_back(op); });
  return list;
}

FailureOr<ObserveOp> Session::find(StringRef tensor) {
  for (ObserveOp op : getObservations())
    if (op.getTensor() == tensor)
      return op;
  return emitError() << "the model has no float tensor '" << tensor << "'";
}

/// Fixes open dimensions of the inputs after import. Cleanup carries the sizes
/// on; where it cannot, a dimension stays open, which is slower and no less
/// right.
static void bindInputs(func::FuncOp main, const ImportOptions &options) {
  Builder b(main.getContext());
  OpBuilder builder(main.getBody());
  SmallVector<Type> types(main.getArgumentTypes());
  for (BlockArgument argument : main.getArguments()) {
    unsigned index = argument.getArgNumber();
    auto type = cast<RankedTensorType>(argument.getType());
    auto input = main.getArgAttrOfType<StringAttr>(index, "tamis.name");
    auto dims = main.getArgAttrOfType<ArrayAttr>(index, "tamis.dims");
    if (!input || !dims || dims.size() != static_cast<size_t>(type.getRank()))
      continue;
    SmallVector<int64_t> shape(type.getShape());
    SmallVector<Attribute> names(dims.getValue());
    for (const auto &[name, binding] : options.inputDims)
      for (int64_t axis = 0; axis < type.getRank(); ++axis) {
        std::string byAxis = (input.getValue() + ":" + Twine(axis)).str();
        if (!type.isDynamicDim(axis) || !binding.isFixed() ||
            (name != byAxis && name != cast<StringAttr>(dims[axis])))
          continue;
        shape[axis] = binding.min;
        names[axis] = b.getStringAttr(Twine(binding.min));
      }
    auto bound = RankedTensorType::get(shape, type.getElementType());
    if (bound == type)
      continue;
    argument.setType(bound);
    types[index] = bound;
    main.setArgAttr(index, "tamis.dims", b.getArrayAttr(names));
    main.removeArgAttr(index, "tamis.dim_ranges");
    auto open = tensor::CastOp::create(builder, main.getLoc(), type, argument);
    argument.replaceAllUsesExcept(open, open);
  }
  main.setFunctionType(b.getFunctionType(types, main.getResultTypes()));
}

namespace {
/// Frees the bytes of parameters that were made meanwhile: a context keeps them
/// as long as it lives, which here is longer than one compilation.
class BytesReleased {
public:
  explicit BytesReleased(MLIRContext &context)
      : manager(DenseResourceElementsHandle::getManagerInterface(&context)
                    .getBlobManager()) {
    manager.getBlobMap([&](const auto &map) {
      for (const auto &entry : map)
        before.insert(entry.getKey());
    });
  }
  ~BytesReleased() {
    SmallVector<StringRef> made;
    manager.getBlobMap([&](const auto &map) {
      for (const auto &entry : map)
        if (!before.contains(entry.getKey()))
          made.push_back(entry.getKey());
    });
    for (StringRef key : made)
      manager.lookup(key)->setBlob({});
  }

private:
  DialectResourceBlobManager &manager;
  llvm::StringSet<> before;
};
} // namespace

LogicalResult Session::instrument(StringRef output,
                                  const CompileOptions &given) {
  BytesReleased released(*context);
  CompileOptions local = given;
  local.from = "import";
  local.to.clear();
  Compilation compilation(*context, local);
  OwningOpRef<ModuleOp> copy = module->clone();
  PassManager pm(context.get(), ModuleOp::getOperationName());
  pm.addPass(createCalibrate());
  if (failed(pm.run(*copy)))
    return failure();
  bindInputs(copy->lookupSymbol<func::FuncOp>("main"), given.import);
  // Drops what only the model's own outputs needed, and carries sizes on.
  PassManager cleanup(context.get(), ModuleOp::getOperationName());
  cleanup.addPass(createCanonicalizerPass());
  cleanup.addPass(createCSEPass());
  cleanup.addPass(createCanonicalizerPass());
  if (failed(cleanup.run(*copy)))
    return failure();
  compilation.setModule(std::move(copy));
  LogicalResult result = compilation.run(output);
  // The artifact has weights of its own, which the caller is about to map.
  releaseMappedPages();
  return result;
}

/// The element type and the shape of a statistic; -1 where any size will do.
static std::pair<StringRef, SmallVector<int64_t>> getForm(ObserveOp observe,
                                                          StringRef kind) {
  using namespace statistics;
  if (kind == kMinMax)
    return {"float32", {2}};
  if (kind == kHistogram)
    return {"int64", {kHistogramBins}};
  if (kind == kChannelAbsMax)
    return {"float32", {-1}};
  if (kind == kChannelMoments)
    return {"float32", {3, -1}};
  if (kind == kChannelMagnitudes)
    return {"float32", {2, -1}};
  if (kind == kGram)
    return {"float32",
            SmallVector<int64_t>(observe.getParameter() ? 3 : 2, -1)};
  if (kind == kGradient)
    return {"float32", llvm::to_vector(observe.getType().getShape())};
  return {};
}

LogicalResult Session::setStatistic(StringRef tensor, StringRef kind,
                                    ArrayRef<int64_t> shape, StringRef dtype,
                                    ArrayRef<char> bytes) {
  FailureOr<ObserveOp> op = find(tensor);
  if (failed(op))
    return failure();
  auto [expected, sizes] = getForm(*op, kind);
  if (expected.empty())
    return emitError() << "tensor '" << tensor << "': unknown statistic '"
                       << kind << "'";
  bool fits = sizes.size() == shape.size() && dtype == expected;
  for (auto [size, given] : llvm::zip(sizes, shape))
    fits &= size < 0 || size == given;
  if (!fits)
    return emitError() << "tensor '" << tensor << "': a statistic '" << kind
                       << "' cannot be of " << dtype << " elements and shape ["
                       << shape << "]";
  Builder b(context.get());
  Type element = expected == "int64" ? Type(b.getI64Type()) : b.getF32Type();
  writeStatistic(*op, kind, RankedTensorType::get(shape, element), bytes);
  return success();
}

LogicalResult Session::setCollect(StringRef tensor, ArrayRef<StringRef> kinds,
                                  std::optional<int64_t> axis) {
  FailureOr<ObserveOp> op = find(tensor);
  if (failed(op))
    return failure();
  Builder b(context.get());
  (*op).setCollectAttr(kinds.empty() ? ArrayAttr() : b.getStrArrayAttr(kinds));
  (*op).setAxisAttr(axis ? b.getI64IntegerAttr(*axis) : IntegerAttr());
  return verify(*op);
}

FailureOr<std::map<std::string, DeltaArray>>
Session::getStatistics(StringRef tensor) {
  FailureOr<ObserveOp> op = find(tensor);
  if (failed(op))
    return failure();
  std::map<std::string, DeltaArray> result;
  if (DictionaryAttr statistics = (*op).getStatisticsAttr())
    for (NamedAttribute entry : statistics)
      if (auto contents = readConstant(entry.getValue()))
        result[entry.getName().str()] = readConstantArray(*contents);
  return result;
}

FailureOr<DeltaArray> Session::getParameter(StringRef tensor) {
  FailureOr<ObserveOp> op = find(tensor);
  if (failed(op))
    return failure();
  SymbolTable symbols(*module);
  auto contents = getConstantTensor((*op).getInput(), symbols);
  if (!(*op).getParameter() || !contents)
    return emitError() << "tensor '" << tensor << "' is not a parameter";
  return readConstantArray(*contents);
}
