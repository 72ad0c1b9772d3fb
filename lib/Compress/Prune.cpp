// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Applies what was decided: layers of their own one after the other, layers
// with one common order together, channels by their groups.
#include "ChannelPruning.h"
#include "InputMoments.h"
#include "PruneSelection.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MLProgram/IR/MLProgram.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "tamis/Compress/Passes.h"
#include "tamis/Gpu/Tensor.h"
#include "tamis/Target/Target.h"
#include <cmath>

namespace mlir::tamis {
#define GEN_PASS_DEF_PRUNE
#include "tamis/Compress/Passes.h.inc"
} // namespace mlir::tamis

using namespace mlir;
using namespace mlir::tamis;

namespace {

struct Prune : ConfiguredPass<tamis::impl::PruneBase<Prune>> {
  using ConfiguredPass::ConfiguredPass;

  /// Of kernels and devices, whose prices pattern auto asks for.
  void getDependentDialects(DialectRegistry &registry) const override {
    PruneBase::getDependentDialects(registry);
    registry.insert<kernel::TamisKernelDialect, device::TamisGpuDialect,
                    arith::ArithDialect, func::FuncDialect,
                    ml_program::MLProgramDialect, tensor::TensorDialect>();
  }

  void runOnOperation() override {
    ModuleOp module = getOperation();
    Report report(module, getArgument());
    if (deadChannels) {
      FailureOr<int64_t> removed = removeDeadChannels(module, report);
      if (failed(removed))
        return signalPassFailure();
      numRemoved += *removed;
      return;
    }
    bool isDecided = module
                         .walk([](ObserveOp op) {
                           return op->hasAttr(kPruningAttr)
                                      ? WalkResult::interrupt()
                                      : WalkResult::advance();
                         })
                         .wasInterrupted();
    if (!isDecided && failed(selectPruning(module, readConfig(), report)))
      return signalPassFailure();
    FailureOr<TargetAttr> machine = getMachine(module);
    if (failed(machine) || failed(choosePatterns(module, *machine, report)) ||
        failed(allocateZeros(module, *machine, report)))
      return signalPassFailure();

    std::vector<Layer> alone, together, channels;
    for (WeightMatrix &matrix : collectWeights(module)) {
      std::optional<PruneDecision> decision = getDecision(matrix.use.observe);
      if (!decision)
        continue;
      auto &list = removesChannels(decision->pattern) ? channels
                   : decision->scope == "global"      ? together
                                                      : alone;
      Layer layer{std::move(matrix), std::move(*decision), nullptr, nullptr};
      if (failed(resolve(layer)))
        return signalPassFailure();
      list.push_back(std::move(layer));
    }
    for (Layer &layer : alone)
      if (failed(pruneAlone(layer, report)))
        return signalPassFailure();
    if (failed(pruneTogether(together, report)))
      return signalPassFailure();
    if (!channels.empty()) {
      SmallVector<ChannelLayer> ranked;
      for (Layer &layer : channels)
        ranked.push_back({&layer.matrix, &layer.decision, layer.criterion});
      FailureOr<int64_t> removed = pruneChannels(module, ranked, report);
      if (failed(removed))
        return signalPassFailure();
      numRemoved += *removed;
    }
    module.walk([](ObserveOp op) { op->removeAttr(kPruningAttr); });
  }

private:
  struct Layer {
    WeightMatrix matrix;
    PruneDecision decision;
    const PruneCriterion *criterion;
    std::unique_ptr<PrunePattern> pattern;
  };

  /// The machine that pattern `auto` prunes for: the first of the option's, or
  /// the module's own; null if neither names one.
  FailureOr<TargetAttr> getMachine(ModuleOp module) {
    if (target.empty())
      return module->getAttrOfType<TargetAttr>(kTargetAttrName);
    auto targets = parseTargets(&getContext(), target, /*threads=*/1,
                                [&] { return module.emitError(); });
    if (failed(targets))
      return failure();
    return targets->front();
  }

  /// Looks up what the decision names; decisions are text that anybody may
  /// have written.
  static LogicalResult resolve(Layer &layer) {
    layer.criterion = findCriterion(layer.decision.criterion);
    layer.pattern = parsePattern(layer.decision.pattern);
    if (!layer.criterion ||
        (!layer.pattern && !removesChannels(layer.decision.pattern)))
      return layer.matrix.use.observe.emitError("layer '")
             << layer.matrix.layer << "': unknown criterion '"
             << layer.decision.criterion << "' or pattern '"
             << layer.decision.pattern << "'";
    return success();
  }

  static int64_t countZeros(ArrayRef<float> values) {
    return llvm::count(values, 0.0f);
  }

  /// Writes what is left of a layer, and says so.
  LogicalResult finish(const Layer &layer, ArrayRef<float> before,
                       ArrayRef<float> values, Report &report) {
    ObserveOp observe = layer.matrix.use.observe;
    int64_t zerosBefore = countZeros(before), zeros = countZeros(values);
    double count = double(values.size());
    bool isCorrected = false;
    if (this->correctBias) {
      auto change = tamis::correctBias(layer.matrix, before, values);
      isCorrected = static_cast<bool>(change);
      llvm::consumeError(change.takeError());
    }
    layer.matrix.write(values);
    numPruned += zeros - zerosBefore;
    report.add(layer.matrix.layer, observe.getTensor(), "pruned",
               isCorrected ? "its bias makes good for the average" : "",
               {report.text("pattern", layer.decision.pattern),
                report.text("criterion", layer.decision.criterion),
                report.text("scope", layer.decision.scope),
                report.number("weights", int64_t(values.size())),
                report.number("zeros", zeros),
                report.number("sparsity_before", double(zerosBefore) / count),
                report.number("sparsity", double(zeros) / count)});
    return success();
  }

  LogicalResult pruneAlone(Layer &layer, Report &report) {
    FailureOr<std::vector<float>> values = readFinite(layer.matrix);
    if (failed(values))
      return failure();
    std::vector<float> before = *values;
    if (failed(layer.criterion->prune(layer.matrix, *values,
                                      layer.decision.seed, *layer.pattern,
                                      layer.decision.target)))
      return failure();
    return finish(layer, before, *values, report);
  }

  /// Ranks layers of equal decisions together.
  LogicalResult pruneTogether(MutableArrayRef<Layer> layers, Report &report) {
    std::vector<bool> done(layers.size());
    for (size_t first = 0; first < layers.size(); ++first) {
      if (done[first])
        continue;
      const PruneDecision &decision = layers[first].decision;
      SmallVector<size_t> members;
      std::vector<std::vector<float>> values, scores;
      std::vector<std::vector<uint8_t>> drops;
      for (size_t i = first; i < layers.size(); ++i) {
        Layer &layer = layers[i];
        if (done[i] || layer.decision.pattern != decision.pattern ||
            layer.decision.criterion != decision.criterion ||
            layer.decision.target.sparsity != decision.target.sparsity ||
            layer.decision.target.threshold != decision.target.threshold)
          continue;
        done[i] = true;
        members.push_back(i);
        FailureOr<std::vector<float>> read = readFinite(layer.matrix);
        if (failed(read))
          return failure();
        scores.emplace_back(read->size());
        drops.emplace_back(read->size());
        if (failed(scoreWeights(*layer.criterion, layer.matrix, *read,
                                layer.decision.seed, scores.back())))
          return failure();
        values.push_back(std::move(*read));
      }
      SmallVector<ScoredPiece> pieces;
      for (auto [at, member] : llvm::enumerate(members)) {
        const WeightMatrix &matrix = layers[member].matrix;
        pieces.push_back({scores[at].data(), drops[at].data(), matrix.rows,
                          matrix.columns, matrix.columns});
      }
      layers[first].pattern->select(pieces, decision.target);
      for (auto [at, member] : llvm::enumerate(members)) {
        std::vector<float> before = values[at];
        for (auto [value, dropped] : llvm::zip_equal(values[at], drops[at]))
          if (dropped)
            value = 0;
        if (failed(finish(layers[member], before, values[at], report)))
          return failure();
      }
    }
    return success();
  }
};

} // namespace

FailureOr<std::vector<float>> tamis::readFinite(const WeightMatrix &matrix) {
  ObserveOp observe = matrix.use.observe;
  FailureOr<std::vector<float>> values = matrix.read();
  if (succeeded(values) &&
      !llvm::all_of(*values, [](float v) { return std::isfinite(v); }))
    return observe.emitError("layer '")
           << matrix.layer << "': parameter '" << observe.getTensor()
           << "' holds a value that is not finite";
  return values;
}
