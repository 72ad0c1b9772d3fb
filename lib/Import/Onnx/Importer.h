// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The importer: a walk over the graph with a table of values, and the helpers
// from which one family of operators per file builds its IR.
//
// Contract of a family file:
//  * It exports `void registerXxx(OpTable &)` (declared at the end of this
//    header, called in Families.cpp) and keeps everything else in an anonymous
//    namespace. One row per operator and opset from which that function holds:
//      table.add({"", "Relu", 1, {1, 1}, importRelu});
//    "" is ai.onnx. The newest row whose version is at most the model's opset
//    is taken; one function may serve several rows and ask `im.opset(node)`.
//  * `LogicalResult importX(Importer &im, const Node &node)`. The number of
//    inputs has been checked against the row; they are tensors unless the row
//    says `sequences`. Optional inputs: `im.has(node, i)`.
//  * `im.in(node, i)` is the ImportedValue; `im.tensor(v)` its SSA value,
//    always a ranked tensor (this is the moment where parameters and shadows
//    become IR). `im.constantInts(v)` / `constantFloats` / `constantScalar`
//    look at compile-time contents, `im.indices(node, i)` gives the elements
//    of a small integer tensor as sizes, known or open.
//  * Results: `im.out(node, i, value, dtype)` for each wanted output. ONNX
//    types are tracked by `DType`, because IR integers are signless.
//  * Build with `im.b` (its location names the node). Sizes are OpFoldResults:
//    `im.dim(v, i)`, `im.dims(v)`, arithmetic through `im.shape` (ShapeMath),
//    which knows when two open sizes are equal. `im.empty(sizes, type)` makes
//    a destination. Do not build tensor.dim or index arithmetic yourself.
//  * `im.elementwise`, `im.reduce`, `im.reshape`, `im.transpose`, `im.slice`,
//    `im.broadcast`, `im.pad`, `im.gatherLike` cover most operators.
//  * Errors: `return im.error(node) << "expected …, got …";` (lower case, no
//    full stop). Attribute getters report by themselves and return the default;
//    the walk stops after the operator. Never assert on what a model says:
//    check ranks, types, axes (`im.axis`), divisors, strides before building.
//  * Sizes that must agree: `im.requireEqual(node, a, b, what)` is an error if
//    they provably differ and a run-time check (code 2) if nobody knows.
//    Indices from tensors: `im.checkedIndex` clamps and records code 1.
//  * Operators with regions: `im.subgraph`, between `im.enterRegion()` and
//    `im.leaveRegion()` with `im.b` inside that region.
//  * Shape arithmetic (all inputs small and known or symbolic) never reaches a
//    family: Shapes.cpp folds it first.
#ifndef TAMIS_LIB_IMPORT_ONNX_IMPORTER_H
#define TAMIS_LIB_IMPORT_ONNX_IMPORTER_H

#include "ShapeMath.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Diagnostics.h"
#include "tamis/Import/Onnx.h"
#include "tamis/Import/Onnx/Model.h"
#include "tamis/Runtime/Runtime.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/StringMap.h"

namespace mlir::tamis::onnx {

/// The elements of a small tensor as far as import knows them. Integers and
/// bool (0/1) are index attributes or index values; floats are FloatAttrs of
/// the element type or values of it.
struct Shadow {
  SmallVector<int64_t, 4> dims;
  SmallVector<OpFoldResult, 4> elements; // row-major
};

/// Tensors with more elements have no shadow and are parameters.
constexpr int64_t kSmallElements = 64;

/// One entry of the value table. Copies are cheap.
struct ImportedValue {
  Value value; // null until somebody asks
  DType dtype = DType::Undefined;
  std::shared_ptr<const Shadow> shadow;   // may be null
  std::shared_ptr<const Tensor> constant; // an initializer or Constant
  std::shared_ptr<const std::vector<ImportedValue>> sequence;

  /// False for an absent optional input.
  explicit operator bool() const {
    return value || shadow || constant || sequence;
  }
};

class Importer;
using ImportFn = LogicalResult (*)(Importer &, const Node &);

struct OpRow {
  StringRef domain;
  StringRef name;
  int64_t sinceVersion;
  struct {
    int min;
    int max; // -1: any number
  } inputs;
  ImportFn import;
  bool sequences = false; // inputs may be sequences or optionals
};

class OpTable {
public:
  void add(const OpRow &row) { rows[key(row.domain, row.name)].push_back(row); }
  /// The newest row that `version` of the domain covers, or null.
  const OpRow *find(StringRef domain, StringRef name, int64_t version) const;

private:
  static std::string key(StringRef domain, StringRef name) {
    return (domain + "\n" + name).str();
  }
  llvm::StringMap<SmallVector<OpRow, 1>> rows;
};

class Importer {
public:
  Importer(ModuleOp module, const Model &model, const ImportOptions &options);

  /// Builds @main and all it needs.
  LogicalResult run();

  //===-- builder and sizes -----------------------------------------------===//

  ImplicitLocOpBuilder b;
  ShapeMath shape;

  OpFoldResult dim(Value tensor, int64_t index);
  SmallVector<OpFoldResult> dims(Value tensor);
  /// Records what the sizes of `tensor` are where its defining operation does
  /// not tell (results of loops and branches).
  void setDims(Value tensor, ArrayRef<OpFoldResult> sizes);
  Value empty(ArrayRef<OpFoldResult> sizes, Type elementType);
  /// Static where known.
  RankedTensorType tensorType(ArrayRef<OpFoldResult> sizes, Type elementType);
  /// The type `value` has or would have as a tensor.
  RankedTensorType type(const ImportedValue &value);

  //===-- inputs
  //------------------------------------------------------------===//

  bool has(const Node &node, size_t index) const;
  /// The input, false-y if absent.
  ImportedValue in(const Node &node, size_t index);
  Value tensor(const ImportedValue &value);
  Value tensor(const Node &node, size_t index) {
    return tensor(in(node, index));
  }
  /// The contents if known: integers and bool, up to `limit` elements.
  std::optional<SmallVector<int64_t>>
  constantInts(const ImportedValue &value, int64_t limit = kSmallElements);
  std::optional<SmallVector<double>>
  constantFloats(const ImportedValue &value, int64_t limit = kSmallElements);
  /// The one element of a known one-element tensor, any numeric dtype.
  std::optional<double> constantScalar(const ImportedValue &value);
  /// The elements of an integer tensor of rank 0 or 1 and known length as
  /// sizes; read at run time where nobody knows. Reports what does not fit.
  FailureOr<SmallVector<OpFoldResult>> indices(const Node &node, size_t index);
  FailureOr<SmallVector<OpFoldResult>> indices(const Node &node,
                                               const ImportedValue &value);
  /// The one element of a one-element tensor as a scalar of its type.
  Value scalar(const ImportedValue &value);

  //===-- outputs
  //-----------------------------------------------------------===//

  LogicalResult out(const Node &node, size_t index, Value value, DType dtype);
  LogicalResult out(const Node &node, size_t index, ImportedValue value);
  static bool wants(const Node &node, size_t index) {
    return index < node.outputs.size() && !node.outputs[index].empty();
  }

  /// True if an input and an output of `node` are an input and an output of
  /// the model and it declares dimension `axis` of both to be one size: the
  /// same number or the same name.
  bool declaresEqual(const Node &node, size_t input, size_t output,
                     size_t axis) const;

  //===-- attributes
  //--------------------------------------------------------===//

  const onnx::Attribute *attr(const Node &node, StringRef name);
  int64_t getInt(const Node &node, StringRef name, int64_t fallback);
  float getFloat(const Node &node, StringRef name, float fallback);
  StringRef getString(const Node &node, StringRef name, StringRef fallback);
  SmallVector<int64_t> getInts(const Node &node, StringRef name,
                               ArrayRef<int64_t> fallback);
  SmallVector<float> getFloats(const Node &node, StringRef name);
  SmallVector<StringRef> getStrings(const Node &node, StringRef name);
  std::shared_ptr<const Graph> getGraph(const Node &node, StringRef name);
  std::shared_ptr<const Tensor> getTensor(const Node &node, StringRef name);
  /// `value` within [-rank, rank) as a dimension, or a reported failure.
  FailureOr<int64_t> axis(const Node &node, int64_t value, int64_t rank);
  FailureOr<SmallVector<int64_t>> axes(const Node &node,
                                       ArrayRef<int64_t> values, int64_t rank);

  //===-- types and constants
  //-----------------------------------------------===//

  /// The IR type of an element; null if Tamis has none.
  Type elementType(DType dtype);
  /// A scalar constant of `type` (float or integer).
  Value constant(Type type, double value);
  static Value constant(ImplicitLocOpBuilder &b, Type type, double value);
  static Value constantInt(ImplicitLocOpBuilder &b, Type type, int64_t value);
  /// A tensor constant at the start of the function.
  Value constantTensor(DenseElementsAttr value);
  ImportedValue constantValue(std::shared_ptr<const Tensor> tensor);
  ImportedValue shadowValue(DType dtype, Shadow shadow);
  /// The shadow, made from a small constant if need be; null if unknown.
  std::shared_ptr<const Shadow> shadowOf(const ImportedValue &value);

  //===-- building blocks
  //---------------------------------------------------===//

  using BodyFn = llvm::function_ref<Value(ImplicitLocOpBuilder &, ValueRange)>;
  /// One generic over the broadcast shape of the operands. Known one-element
  /// operands become constants in the body. Null (reported) on a mismatch.
  Value elementwise(const Node &node, ArrayRef<ImportedValue> operands,
                    Type resultElement, BodyFn body);
  Value elementwise(const Node &node, ArrayRef<Value> operands,
                    Type resultElement, BodyFn body);
  /// The ONNX broadcast of several shapes.
  FailureOr<SmallVector<OpFoldResult>>
  broadcastShapes(const Node &node, ArrayRef<SmallVector<OpFoldResult>> shapes);
  /// `value` expanded to `sizes` (its trailing dimensions broadcast).
  Value broadcast(const Node &node, Value value, ArrayRef<OpFoldResult> sizes);

  using CombineFn = llvm::function_ref<Value(ImplicitLocOpBuilder &, Value acc,
                                             Value element)>;
  /// Folds `input` over `axes` from `initial`; the accumulator has its type.
  /// The body sees the element as it is and must cast it.
  Value reduce(Value input, ArrayRef<int64_t> axes, bool keepDims,
               Value initial, CombineFn combine);

  /// Same elements, other sizes: collapse_shape and expand_shape. The caller
  /// has made sure that the products agree (or checked at run time).
  Value reshape(Value input, ArrayRef<OpFoldResult> sizes);
  Value transpose(Value input, ArrayRef<int64_t> permutation);
  Value slice(Value input, ArrayRef<OpFoldResult> offsets,
              ArrayRef<OpFoldResult> sizes, ArrayRef<OpFoldResult> strides);
  /// One dimension: `input[..., offset:offset+size, ...]`.
  Value sliceDim(Value input, int64_t dim, OpFoldResult offset,
                 OpFoldResult size);
  Value pad(Value input, ArrayRef<OpFoldResult> low,
            ArrayRef<OpFoldResult> high, Value padValue);
  /// Same shape statically known or open; the ranks agree.
  Value concat(const Node &node, ArrayRef<Value> inputs, int64_t dim);
  Value cast(const Node &node, Value input, DType from, DType to);
  /// One element, saturating from float to integer (NaN gives 0), so that no
  /// input is undefined behaviour.
  static Value castScalar(ImplicitLocOpBuilder &b, Value value, DType from,
                          DType to);
  /// out[i...] = input[index(i...)]: a generic with a tensor.extract; indices
  /// must be in bounds.
  using IndexFn = llvm::function_ref<SmallVector<Value>(ImplicitLocOpBuilder &,
                                                        ValueRange)>;
  Value gatherLike(Value input, ArrayRef<OpFoldResult> sizes, IndexFn index);
  /// Removes the unit dimensions `drop`.
  Value dropDims(Value input, ArrayRef<int64_t> drop);
  Value fill(ArrayRef<OpFoldResult> sizes, Value scalar);

  //===-- checks
  //------------------------------------------------------------===//

  InFlightDiagnostic error(const Node &node);
  LogicalResult requireEqual(const Node &node, OpFoldResult lhs,
                             OpFoldResult rhs, const llvm::Twine &what);
  LogicalResult requireRank(const Node &node, Value value, int64_t rank,
                            const llvm::Twine &what);
  /// An i1 that must be true at run time, else the call reports `fault`.
  void check(Value condition, tamis_fault fault);
  /// `index` (index type, may be negative as in ONNX) made non-negative and
  /// clamped to [0, size), outside bodies with a recorded check.
  Value checkedIndex(Value index, OpFoldResult size);
  /// Checks a whole index tensor against [-size, size) once, then bodies may
  /// clamp silently with `clampIndex`.
  void checkIndices(Value indices, OpFoldResult size);
  static Value clampIndex(ImplicitLocOpBuilder &b, Value index, Value size);

  //===-- graphs
  //------------------------------------------------------------===//

  int64_t opset(const Node &node) const;
  /// Imports `graph` at the insertion point; names of the outer graph are
  /// visible. For the bodies of If, Loop, Scan.
  LogicalResult subgraph(const Node &node, const Graph &graph,
                         ArrayRef<ImportedValue> inputs,
                         SmallVectorImpl<ImportedValue> &outputs);
  /// Around building inside a region that ends: sizes computed within are not
  /// reused after it. Materialise results (`tensor`) before leaving.
  void enterRegion();
  void leaveRegion();
  /// "node 'conv1' (Conv)".
  static std::string describe(const Node &node);
  /// After a failed attempt to build something that need not be built.
  void forgetError() { hadError = false; }

private:
  /// A function call being inlined.
  struct Frame {
    const Node *call;
    const Function *function;
  };
  struct NameScope {
    llvm::StringMap<ImportedValue> values;
    bool barrier = false; // a function body: outer names are not visible
  };

  LogicalResult checkOperators();
  LogicalResult defineInputs();
  LogicalResult finish();
  LogicalResult importNodes(const std::vector<Node> &nodes);
  LogicalResult importNode(const Node &node);
  LogicalResult inlineCall(const Node &node, const Function &function);
  /// Folds shape arithmetic; false if `node` is none (Shapes.cpp).
  FailureOr<bool> foldShapes(const Node &node);
  const Function *findFunction(const Node &node) const;
  int64_t opset(StringRef domain) const;
  ImportedValue lookup(StringRef name) const;
  Value parameter(const Tensor &tensor);
  /// Gives the tensor `name` of the main graph an observation (Observe.cpp).
  void observe(StringRef name);
  Value observeParameter(const Tensor &tensor, Value value);
  /// Takes the observations of scales away: they are no tensors of the model.
  void dropScales();
  /// The attribute with a function's parameter replaced by the call's value.
  const onnx::Attribute *resolve(const onnx::Attribute *attribute,
                                 size_t frame) const;
  OpFoldResult inferDim(Value tensor, int64_t index);
  /// Runs `build` where every later operation sees its result.
  Value hoisted(llvm::function_ref<Value()> build);

  ModuleOp module;
  const Model &model;
  const ImportOptions &options;
  OpTable table;
  SmallVector<NameScope> names;
  SmallVector<Frame> frames;
  SmallVector<llvm::DenseMap<std::pair<Value, int64_t>, OpFoldResult>>
      dimScopes;
  llvm::DenseMap<const Tensor *, Value> parameters;
  // The names of constants to be observed.
  llvm::DenseMap<const Tensor *, std::string> observed;
  // Keys of `parameters` must not be reused.
  std::vector<std::shared_ptr<const Tensor>> kept;
  llvm::StringMap<const Function *> functions;
  Block *entry = nullptr;
  Operation *lastHoisted = nullptr;
  int64_t inlined = 0;
  int64_t parameterCount = 0;
  bool hadError = false; // an attribute getter has reported
};

/// Gather with known consecutive indices as a slice; false if `node` is not
/// that (then the general form is to be built).
FailureOr<bool> importStaticGather(Importer &im, const Node &node);

/// Calls all of the following (Families.cpp: add yours there).
void registerFamilies(OpTable &table);
void registerElementwise(OpTable &table);
void registerActivations(OpTable &table);
void registerLogic(OpTable &table);
void registerCasts(OpTable &table);
void registerMovement(OpTable &table);
void registerReshape(OpTable &table);
void registerConstants(OpTable &table);
void registerSlice(OpTable &table);
void registerPad(OpTable &table);
void registerContraction(OpTable &table);
void registerConvolution(OpTable &table);
void registerConvTranspose(OpTable &table);
void registerEinsum(OpTable &table);
void registerSoftmax(OpTable &table);
void registerLosses(OpTable &table);
void registerQuantizedOps(OpTable &table);
void registerFewBitProducts(OpTable &table);
void registerQuantizedElementwise(OpTable &table);
void registerQuantization(OpTable &table);
void registerContribAttention(OpTable &table);
void registerQonnx(OpTable &table);
void registerOpenvino(OpTable &table);
void registerRecurrent(OpTable &table);
void registerAttention(OpTable &table);
void registerTransformerOps(OpTable &table);
void registerNormalization(OpTable &table);
void registerReduction(OpTable &table);
void registerIndexing(OpTable &table);
void registerControlFlow(OpTable &table);
void registerResize(OpTable &table);
void registerSequence(OpTable &table);
void registerSignal(OpTable &table);
void registerPooling(OpTable &table);
void registerScatter(OpTable &table);
void registerSelection(OpTable &table);
void registerGenerators(OpTable &table);
void registerSampling(OpTable &table);

} // namespace mlir::tamis::onnx

#endif // TAMIS_LIB_IMPORT_ONNX_IMPORTER_H
