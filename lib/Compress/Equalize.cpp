// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Cross-layer equalization (Nagel et al., ICCV 2019). Between two layers with
// nothing but relu and maxima, a channel can be scaled down in the first and up
// in the second without changing the result; done so that both layers' weights
// have the same range in each channel. Needs no data.
#include "WeightMatrix.h"
#include "mlir/IR/Matchers.h"
#include "tamis/Compress/Passes.h"
#include "tamis/Compress/Report.h"
#include "llvm/ADT/MapVector.h"
#include <cmath>

namespace mlir::tamis {
#define GEN_PASS_DEF_EQUALIZE
#include "tamis/Compress/Passes.h.inc"
} // namespace mlir::tamis

using namespace mlir;
using namespace mlir::tamis;

namespace {
/// Two layers and what lies between them.
struct Pair {
  size_t first, second; // indices of the weights
  SmallVector<ObserveOp> biases, tensors;
};

struct Equalize : tamis::impl::EqualizeBase<Equalize> {
  using EqualizeBase::EqualizeBase;
  void runOnOperation() override;
};
} // namespace

/// True for zero, also where a parameter says so.
static bool isZero(Value value, linalg::GenericOp op) {
  auto argument = dyn_cast<BlockArgument>(value);
  if (argument && argument.getOwner() == op.getBody())
    value = op.getMatchingOpOperand(argument)->get();
  if (auto observe = value.getDefiningOp<ObserveOp>())
    value = observe.getInput();
  Attribute attr;
  if (!matchPattern(value, m_Constant(&attr)))
    return false;
  if (auto splat = dyn_cast<SplatElementsAttr>(attr))
    attr = splat.getSplatValue<Attribute>();
  auto real = dyn_cast<FloatAttr>(attr);
  return real && real.getValue().isZero();
}

/// The operand of an elementwise `max(x + bias, 0)` with parts of it missing;
/// null for anything else. Biases are appended.
static Value skipElementwise(linalg::GenericOp op, int64_t axis,
                             SmallVectorImpl<ObserveOp> &biases) {
  if (op.getNumParallelLoops() != op.getNumLoops() || op.getNumDpsInits() != 1)
    return nullptr;
  auto isIdentity = [&](OpOperand *operand) {
    return op.getMatchingIndexingMap(operand).isIdentity();
  };
  OpOperand *data = nullptr;
  for (OpOperand *input : op.getDpsInputOperands()) {
    auto observe = input->get().getDefiningOp<ObserveOp>();
    if ((observe && observe.getParameter()) ||
        matchPattern(input->get(), m_Constant()))
      continue;
    if (data)
      return nullptr;
    data = input;
  }
  if (!data || !isIdentity(data) || !isIdentity(op.getDpsInitOperand(0)))
    return nullptr;
  Value current = op.getMatchingBlockArgument(data);
  for (Operation &inner : op.getBody()->without_terminator()) {
    if (isa<arith::ConstantOp>(inner))
      continue;
    if (inner.getNumOperands() != 2)
      return nullptr;
    unsigned at = inner.getOperand(0) == current ? 0 : 1;
    Value other = inner.getOperand(1 - at);
    if (inner.getOperand(at) != current || other == current)
      return nullptr;
    if (isa<arith::MaximumFOp, arith::MaxNumFOp>(inner)) {
      if (!isZero(other, op))
        return nullptr;
    } else if (isa<arith::AddFOp>(inner)) {
      auto argument = dyn_cast<BlockArgument>(other);
      if (!argument || argument.getOwner() != op.getBody())
        return nullptr;
      OpOperand *operand = op.getMatchingOpOperand(argument);
      auto bias = operand->get().getDefiningOp<ObserveOp>();
      AffineMap map = op.getMatchingIndexingMap(operand);
      auto along = [&](AffineExpr expr) {
        return expr == getAffineDimExpr(axis, op.getContext());
      };
      if (!bias || !bias->hasOneUse() || bias.getType().getRank() != 1 ||
          map.getNumResults() != 1 || !along(map.getResult(0)))
        return nullptr;
      biases.push_back(bias);
    } else {
      return nullptr;
    }
    current = inner.getResult(0);
  }
  return op.getBody()->getTerminator()->getOperand(0) == current ? data->get()
                                                                 : Value();
}

/// The operand of maxima over windows that leave `axis` alone; null otherwise.
static Value skipMaxima(linalg::GenericOp op, int64_t axis) {
  if (op.getNumReductionLoops() == 0 || op.getNumDpsInits() != 1 ||
      !llvm::hasSingleElement(op.getBody()->without_terminator()) ||
      !isa<arith::MaximumFOp, arith::MaxNumFOp>(op.getBody()->front()))
    return nullptr;
  AffineMap in = op.getMatchingIndexingMap(op.getDpsInputOperand(0));
  AffineMap out = op.getMatchingIndexingMap(op.getDpsInitOperand(0));
  if (in.getNumResults() != out.getNumResults() ||
      in.getResult(axis) != out.getResult(axis) ||
      !isa<AffineDimExpr>(in.getResult(axis)))
    return nullptr;
  Value input = op.getDpsInputs()[0];
  // Padding is the lowest number there is, whatever the scale.
  if (auto pad = input.getDefiningOp<tensor::PadOp>())
    input = pad->hasOneUse() ? pad.getSource() : Value();
  return input;
}

/// The contraction whose result `input` is but for relu, maxima and biases,
/// with no other reader on the way; null if there is none.
static ContractOp findFirst(ObserveOp input, int64_t axis, Pair &pair) {
  Value value = input.getResult();
  while (value && value.hasOneUse()) {
    Operation *op = value.getDefiningOp();
    if (auto contract = dyn_cast_if_present<ContractOp>(op))
      return contract;
    if (auto observe = dyn_cast_if_present<ObserveOp>(op)) {
      if (observe.getParameter())
        return nullptr;
      pair.tensors.push_back(observe);
      value = observe.getInput();
    } else if (auto merge = dyn_cast_if_present<tensor::CollapseShapeOp>(op)) {
      // Groups and their channels; nothing else may be in between.
      if (!merge.getSrc().hasOneUse())
        return nullptr;
      return merge.getSrc().getDefiningOp<ContractOp>();
    } else if (auto generic = dyn_cast_if_present<linalg::GenericOp>(op)) {
      value = generic.getNumReductionLoops()
                  ? skipMaxima(generic, axis)
                  : skipElementwise(generic, axis, pair.biases);
    } else {
      return nullptr;
    }
  }
  return nullptr;
}

void Equalize::runOnOperation() {
  ModuleOp module = getOperation();
  Report report(module, "equalize");
  std::vector<WeightMatrix> matrices = collectWeights(module);
  llvm::DenseMap<Operation *, size_t> byContract;
  for (auto [i, matrix] : llvm::enumerate(matrices))
    if (matrix.use.observe->hasOneUse())
      byContract[matrix.use.contract] = i;

  std::vector<Pair> pairs;
  for (auto [i, matrix] : llvm::enumerate(matrices)) {
    if (!matrix.input || !byContract.contains(matrix.use.contract))
      continue;
    Pair pair{0, i, {}, {}};
    ContractOp first = findFirst(matrix.input, matrix.inputAxis, pair);
    auto found = first ? byContract.find(first) : byContract.end();
    if (found == byContract.end())
      continue;
    pair.first = found->second;
    int64_t channels = matrix.rows / matrix.rowsPerGroup * matrix.channels;
    if (matrices[pair.first].rows != channels ||
        llvm::any_of(pair.biases, [&](ObserveOp bias) {
          return bias.getType().getNumElements() != channels;
        })) {
      report.add(matrix.layer, matrix.input.getTensor(), "not equalized",
                 "the layers count their channels differently");
      continue;
    }
    pairs.push_back(std::move(pair));
  }

  std::vector<std::vector<float>> weights(matrices.size());
  llvm::MapVector<Operation *, std::vector<float>> biases;
  for (Pair &pair : pairs) {
    for (size_t i : {pair.first, pair.second}) {
      if (!weights[i].empty())
        continue;
      FailureOr<std::vector<float>> values = matrices[i].read();
      if (failed(values))
        return signalPassFailure();
      weights[i] = std::move(*values);
    }
    for (ObserveOp bias : pair.biases) {
      FailureOr<std::vector<float>> values = readParameter(bias);
      if (failed(values))
        return signalPassFailure();
      biases[bias] = std::move(*values);
    }
  }
  // A layer is the second of one pair and the first of the next.
  constexpr int kSweeps = 20;
  for (int sweep = 0; sweep < kSweeps; ++sweep)
    for (Pair &pair : pairs) {
      const WeightMatrix &first = matrices[pair.first];
      const WeightMatrix &second = matrices[pair.second];
      std::vector<float> reach(first.rows), taken(first.rows);
      for (int64_t i = 0, e = weights[pair.first].size(); i < e; ++i) {
        float &most = reach[i / first.columns];
        most = std::max(most, std::fabs(weights[pair.first][i]));
      }
      auto channelOf = [&](int64_t i) {
        return second.getInputChannel(i / second.columns, i % second.columns);
      };
      for (int64_t i = 0, e = weights[pair.second].size(); i < e; ++i) {
        float &most = taken[channelOf(i)];
        most = std::max(most, std::fabs(weights[pair.second][i]));
      }
      std::vector<float> scale(first.rows, 1.0f);
      for (int64_t i = 0; i < first.rows; ++i)
        if (reach[i] > 0 && taken[i] > 0)
          scale[i] = std::clamp(std::sqrt(reach[i] / taken[i]), 1e-4f, 1e4f);
      for (int64_t i = 0, e = weights[pair.first].size(); i < e; ++i)
        weights[pair.first][i] /= scale[i / first.columns];
      for (int64_t i = 0, e = weights[pair.second].size(); i < e; ++i)
        weights[pair.second][i] *= scale[channelOf(i)];
      for (ObserveOp bias : pair.biases)
        for (auto [value, by] : llvm::zip_equal(biases[bias], scale))
          value /= by;
    }
  for (auto [matrix, values] : llvm::zip_equal(matrices, weights))
    if (!values.empty())
      matrix.write(values);
  for (auto &[bias, values] : biases)
    writeParameter(cast<ObserveOp>(bias), values);
  for (Pair &pair : pairs) {
    // They were of the tensors before.
    for (ObserveOp tensor : pair.tensors)
      tensor.removeStatisticsAttr();
    report.add(matrices[pair.second].layer,
               matrices[pair.second].input.getTensor(), "equalized",
               "channels of '" + matrices[pair.first].layer +
                   "' scaled against those of '" + matrices[pair.second].layer +
                   "'");
    ++numPairs;
  }
}
