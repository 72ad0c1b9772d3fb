// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Decides which weights leave their zeros out. Contractions come with their
// dense decision, so all prices are of code that would really be generated.
#include "DensePrice.h"
#include "StorageOptions.h"
#include "mlir/IR/Threading.h"
#include "tamis/Kernels/Passes.h"
#include "tamis/Target/Target.h"
#include "llvm/Support/Format.h"

namespace mlir::tamis {
#define GEN_PASS_DEF_SELECTSTORAGE
#include "tamis/Kernels/Passes.h.inc"
} // namespace mlir::tamis

using namespace mlir;
using namespace mlir::tamis;

/// Cycles of `op` as it is.
static double priceAsIs(kernel::ContractOp op, TargetAttr target,
                        ProfileAttr profile, double modelBytes) {
  Type rhs = getElementTypeOrSelf(op.getRhs().getType());
  if (auto pack = op.getRhs().getDefiningOp<kernel::PackOp>())
    rhs = getElementTypeOrSelf(pack.getSource().getType());
  return priceDense(describeDense(op.getBounds(), op.getRhsMap(), rhs,
                                  op.getInstruction(), target, profile,
                                  modelBytes),
                    op.getTile().front());
}

/// All options for `problem`; `reason` says why there is none.
static SmallVector<StorageOption> findOptions(StorageProblem &problem,
                                              FailureOr<SourceView> view,
                                              std::string &reason) {
  kernel::ContractOp op = problem.op;
  problem.pack = op.getRhs().getDefiningOp<kernel::PackOp>();
  reason = "no row stream: weights are not known";
  if (!op.getPacked() || !problem.pack || failed(view))
    return {};
  reason = "no row stream: weights have a zero point";
  if (op.getRhsZero())
    return {};
  problem.view = *view;
  SmallVector<StorageOption> options = findRowStreams(problem, reason);
  for (auto find : {findBitmasks, findBlockLists, findNOfM, findCodebook,
                    findBoundedPanels, findSlotWindows, findWinograd}) {
    std::string other;
    options.append(find(problem, other));
    reason += "; " + other;
  }
  return options;
}

/// How much slower `other` is than `chosen`, or faster.
static std::string compare(StringRef other, double factor, StringRef how) {
  std::string text;
  llvm::raw_string_ostream out(text);
  out << other << " is ";
  if (factor < 1)
    out << "only ";
  double shown = factor < 1 ? 1 / factor : factor;
  out << llvm::format(shown < 1.95 ? "%.2fx" : "%.1fx", shown)
      << (factor < 1 ? " faster (" : " slower (") << how << ')';
  return text;
}

/// What was chosen for `op` so far: a dense tile. What an earlier run of this
/// pass added is left out.
static KernelChoice getDenseChoice(kernel::ContractOp op, ProfileAttr profile,
                                   double cycles) {
  KernelChoice choice = getChoice(op).value_or(KernelChoice());
  std::string chosen = getDenseName(op.getTile());
  choice.key = getContractionKey(op);
  llvm::erase_if(choice.candidates, [](const KernelCandidate &candidate) {
    return !StringRef(candidate.name).starts_with("dense");
  });
  if (choice.candidates.empty())
    choice.candidates.push_back(
        makeCandidate(profile, choice.key, chosen, cycles));
  choice.chosen = chosen;
  return choice;
}

/// The option to take, or null for dense panels, and what was weighed.
static const StorageOption *choose(SmallVectorImpl<StorageOption> &options,
                                   ProfileAttr profile, KernelChoice &choice) {
  KernelCandidate dense =
      *llvm::find_if(choice.candidates, [&](const KernelCandidate &candidate) {
        return candidate.name == choice.chosen;
      });
  llvm::stable_sort(options,
                    [](const StorageOption &a, const StorageOption &b) {
                      return a.cycles < b.cycles;
                    });
  // Whatever was measured, the same candidates are in question.
  double limitOfQuestion = std::numeric_limits<double>::infinity();
  for (const KernelCandidate &candidate : choice.candidates)
    limitOfQuestion =
        std::min(limitOfQuestion, kInQuestion * candidate.predicted);
  SmallVector<KernelCandidate> weighed;
  for (const StorageOption &option : options) {
    KernelCandidate candidate =
        makeCandidate(profile, choice.key, option.name, option.cycles);
    if (weighed.empty() || candidate.predicted <= limitOfQuestion)
      weighed.push_back(candidate);
  }
  double ratio = weighed.front().predicted / dense.predicted;
  if (weighed.front().predicted > limitOfQuestion) {
    choice.reason = compare(options.front().what, ratio, "predicted");
    return nullptr;
  }
  choice.candidates.append(weighed);
  auto ratioOf = [&](size_t i) {
    return weighed[i].predicted / dense.predicted;
  };
  StringRef how = "predicted";
  // The cheapest that promises enough, of its kind.
  double withZeros = 1;
  for (size_t i = 0; i < weighed.size(); ++i)
    if (!options[i].leavesZeros && ratioOf(i) < options[i].margin)
      withZeros = std::min(withZeros, ratioOf(i));
  auto promises = [&](size_t i) {
    double share = options[i].leavesZeros ? withZeros : 1;
    return ratioOf(i) < options[i].margin * share;
  };
  size_t best = 0;
  for (size_t i = 0; i < weighed.size() && !promises(best); ++i)
    if (promises(i))
      best = i;
  ratio = ratioOf(best);
  double limit = options[best].margin;
  if (std::optional<size_t> fastest = findFastest(weighed);
      fastest && dense.measured) {
    best = *fastest;
    ratio = *weighed[best].measured / *dense.measured;
    how = "measured";
    limit = 1;
  }
  if (ratio >= limit) {
    choice.reason = compare(options[best].what, ratio, how);
    return nullptr;
  }
  choice.reason = compare("dense", 1 / ratio, how);
  choice.chosen = weighed[best].name;
  return &options[best];
}

/// The same by bytes, and by cycles where these are equal.
static const StorageOption *chooseSmallest(ArrayRef<StorageOption> options,
                                           const StorageProblem &problem,
                                           KernelChoice &choice) {
  const StorageOption *best = llvm::min_element(
      options, [](const StorageOption &a, const StorageOption &b) {
        return std::tie(a.bytes, a.cycles) < std::tie(b.bytes, b.cycles);
      });
  choice.candidates.push_back(
      makeCandidate(problem.profile, choice.key, best->name, best->cycles));
  kernel::PackOp pack = problem.pack;
  auto dense = cast<RankedTensorType>(pack.getPacked().getType());
  double ratio = best->bytes / double(dense.getNumElements()) /
                 (dense.getElementTypeBitWidth() / 8.0);
  choice.reason.clear();
  llvm::raw_string_ostream(choice.reason)
      << best->what << llvm::format(" has %.2fx the bytes of dense", ratio);
  if (ratio >= 1)
    return nullptr;
  choice.chosen = best->name;
  return best;
}

void mlir::tamis::selectStorage(StorageSelection &selection,
                                FailureOr<SourceView> view) {
  auto &[problem, choice, options, option] = selection;
  problem.dense = priceAsIs(problem.op, problem.target, problem.profile,
                            problem.modelBytes);
  choice = getDenseChoice(problem.op, problem.profile, problem.dense);
  options = findOptions(problem, view, choice.reason);
  if (!options.empty())
    option = problem.size ? chooseSmallest(options, problem, choice)
                          : choose(options, problem.profile, choice);
}

/// The constant that `op` reads through a pack.
static FailureOr<SourceView> viewWeights(kernel::ContractOp op,
                                         SymbolTable &symbols) {
  auto pack = op.getRhs().getDefiningOp<kernel::PackOp>();
  if (!pack)
    return failure();
  return viewConstant(pack.getSource(), symbols);
}

namespace {
struct SelectStorage : tamis::impl::SelectStorageBase<SelectStorage> {
  using SelectStorageBase::SelectStorageBase;

  void runOnOperation() override {
    SymbolTable symbols(getOperation());
    std::vector<StorageSelection> selections;
    double modelBytes = getModelBytes(getOperation());
    getOperation().walk([&](kernel::ContractOp op) {
      TargetAttr target = getTarget(op);
      if (!isa<RankedTensorType>(op.getInit().getType()) || !target ||
          op.getStorage())
        return;
      StorageProblem &problem = selections.emplace_back().problem;
      problem.op = op;
      problem.target = target;
      problem.profile = getProfile(op, target);
      problem.modelBytes = modelBytes;
      problem.size = size;
    });
    // Counting looks at all weights; it changes nothing.
    parallelForEach(&getContext(), selections, [&](StorageSelection &s) {
      selectStorage(s, viewWeights(s.problem.op, symbols));
    });
    IRRewriter rewriter(&getContext());
    for (StorageSelection &s : selections) {
      recordChoice(s.problem.op, s.choice);
      if (!s.option)
        continue;
      s.option->apply(rewriter);
      ++numStreams;
    }
  }
};
} // namespace
