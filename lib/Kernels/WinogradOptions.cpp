// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Transformed tiles in the place of the panels of a 3x3 window: up to four
// times fewer products, for two transforms and up to four times the bytes of
// weights. Many channels pay for the former, many places for the latter.
#include "DensePrice.h"
#include "StorageOptions.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "tamis/Kernels/Classify.h"
#include "tamis/Kernels/Tiling.h"
#include "tamis/Target/Target.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::tamis;

/// Rows of one product: enough to hide its weights, few enough that the tiles
/// of a strip stay near.
static constexpr int64_t kRows = 24;
/// Fewer channels are hardly summed up.
static constexpr int64_t kFewest = 16;
static constexpr int64_t kWindow = 3;

namespace {
/// A window of 3x3 that moves by one, over images with channels innermost.
struct WindowLayer {
  int64_t images = 1, height = 1, width = 1, channels = 1, columns = 1;
  /// Dimensions of the source of the weights.
  int64_t column = 0, channel = 0;
  SmallVector<int64_t> window;
};

/// How the layer is computed with tiles of so many results squared.
struct TilePlan {
  int64_t output = 0, strip = 0, across = 0, lines = 0, strips = 0;
  Tiling tiling;

  int64_t getPlaces() const { return (output + 2) * (output + 2); }
};
} // namespace

/// The dimension that moves a window along `out` in axis `axis` of lhs, if it
/// does so by one.
static std::optional<unsigned> findWindow(kernel::ContractOp op,
                                          unsigned axis) {
  unsigned out = op.getOutMap().getDimPosition(axis);
  FailureOr<SmallVector<int64_t>> factors = getCoefficients(
      op.getLhsMap().getResult(axis), op.getLhsMap().getNumDims());
  if (failed(factors) || (*factors)[out] != 1)
    return std::nullopt;
  std::optional<unsigned> window;
  for (auto [d, factor] : llvm::enumerate(*factors)) {
    if (d == out || factor == 0)
      continue;
    if (window || factor != 1 || op.getBounds()[d] != kWindow)
      return std::nullopt;
    window = d;
  }
  return window;
}

static std::optional<WindowLayer> findLayer(const StorageProblem &problem) {
  kernel::ContractOp op = problem.op;
  AffineMap lhs = op.getLhsMap(), out = op.getOutMap(), rhs = op.getRhsMap();
  auto lhsType = cast<ShapedType>(op.getLhs().getType());
  constexpr unsigned kRank = 4;
  if (out.getNumResults() != kRank || lhs.getNumResults() != kRank ||
      rhs.getNumResults() != kRank || !out.isProjectedPermutation() ||
      !isa<AffineDimExpr>(lhs.getResult(3)) ||
      lhs.getResult(0) != out.getResult(0))
    return std::nullopt;
  std::optional<unsigned> line = findWindow(op, 1), place = findWindow(op, 2);
  if (!line || !place)
    return std::nullopt;
  auto boundOf = [&](unsigned d) { return op.getBounds()[d]; };
  auto inWeights = [&](unsigned d) -> int64_t {
    auto at = rhs.getResultPosition(getAffineDimExpr(d, op.getContext()));
    return at ? static_cast<int64_t>(*at) : -1;
  };
  unsigned channel = lhs.getDimPosition(3), column = out.getDimPosition(3);
  WindowLayer layer;
  layer.images = boundOf(out.getDimPosition(0));
  layer.height = boundOf(out.getDimPosition(1));
  layer.width = boundOf(out.getDimPosition(2));
  layer.channels = boundOf(channel);
  layer.columns = boundOf(column);
  layer.column = inWeights(column);
  layer.channel = inWeights(channel);
  layer.window = {inWeights(*line), inWeights(*place)};
  bool fits = layer.column >= 0 && layer.channel >= 0 &&
              !llvm::is_contained(layer.window, -1) &&
              !ShapedType::isDynamic(layer.height) &&
              !ShapedType::isDynamic(layer.width) &&
              layer.channels >= kFewest && layer.columns >= kFewest &&
              lhsType.getDimSize(1) == layer.height + kWindow - 1 &&
              lhsType.getDimSize(2) == layer.width + kWindow - 1;
  return fits ? std::optional(layer) : std::nullopt;
}

/// Strips of `strip` lines of tiles, all about as long.
static TilePlan cutStrips(const StorageProblem &problem,
                          const WindowLayer &layer, TilePlan plan,
                          int64_t strip) {
  kernel::ContractOp op = problem.op;
  plan.strips = llvm::divideCeil(plan.lines, strip);
  plan.strip = llvm::divideCeil(plan.lines, plan.strips);
  TilingProblem p;
  p.rowExtent = plan.strip * plan.across;
  p.columns = layer.columns;
  p.steps = layer.channels;
  p.lanes = op.getInstruction().getLanes();
  p.maxAccumulators = op.getInstruction().getMaxAccumulators();
  p.bytesPerPosition = layer.channels * int64_t(sizeof(float));
  p.l1 = problem.target.getL1();
  p.l2 = problem.target.getL2();
  plan.tiling = rateTilings(p, /*count=*/1).front().tiling;
  return plan;
}

/// True if every tile is summed up channel by channel: register blocks of a few
/// products take partial sums, and which tiles are in them depends on where the
/// strips begin.
static bool hasOneOrder(const TilePlan &plan) {
  int64_t rest = plan.strip * plan.across % plan.tiling.rows;
  int64_t rows = rest == 0 ? plan.tiling.rows : rest;
  return rows * plan.tiling.vectors > kFewProducts;
}

/// Strips as long as their products want, but one for each of `tasks` at least.
static TilePlan planTiles(const StorageProblem &problem,
                          const WindowLayer &layer, int64_t output,
                          int64_t tasks) {
  TilePlan plan;
  plan.output = output;
  plan.across = llvm::divideCeil(layer.width, output);
  plan.lines = llvm::divideCeil(layer.height, output);
  int64_t images = ShapedType::isDynamic(layer.images) ? 1 : layer.images;
  int64_t most = std::max<int64_t>(1, plan.lines * images / tasks);
  int64_t longest = std::min<int64_t>(
      {int64_t(llvm::divideCeil(kRows, plan.across)), plan.lines, most});
  for (int64_t strip = longest; strip > 0; --strip)
    if (TilePlan cut = cutStrips(problem, layer, plan, strip); hasOneOrder(cut))
      return cut;
  return cutStrips(problem, layer, plan, longest);
}

/// The strips for the tasks of `problem`: those of a single one where others
/// would be summed up in another order, since results must not depend on the
/// number of threads.
static TilePlan planForTasks(const StorageProblem &problem,
                             const WindowLayer &layer, const TilePlan &single) {
  kernel::ContractOp op = problem.op;
  TilePlan plan = planTiles(problem, layer, single.output,
                            static_cast<int64_t>(op.getTasks()));
  return hasOneOrder(plan) && hasOneOrder(single) ? plan : single;
}

static double getBytes(const WindowLayer &layer, const TilePlan &plan) {
  return double(plan.getPlaces() * layer.channels * layer.columns) *
         sizeof(float);
}

static double price(const StorageProblem &problem, const WindowLayer &layer,
                    const TilePlan &plan) {
  kernel::ContractOp op = problem.op;
  auto fact = [&](StringRef name) { return getFact(problem.profile, name); };
  double images = ShapedType::isDynamic(layer.images) ? double(kTypicalRows)
                                                      : double(layer.images);
  double strips = images * double(plan.strips);
  double tiles = strips * double(plan.strip * plan.across);
  auto places = double(plan.getPlaces());
  DenseProblem products = describeDense(
      op.getBounds(), op.getRhsMap(), problem.view.element, op.getInstruction(),
      problem.target, problem.profile, problem.modelBytes);
  products.weights = places * double(layer.channels * layer.columns);
  products.products = products.weights * tiles;
  products.bytes = getBytes(layer, plan);
  double cycles = priceDense(products, plan.tiling.rows);
  // Each strip reads the weights again, from behind L2 if they are many; few
  // rows do not hide that.
  if (products.bytes > double(problem.target.getL2()))
    cycles += strips * products.bytes / fact("winograd.bytes_per_cycle");
  auto lanes = double(op.getInstruction().getLanes());
  double vectors = std::ceil(double(layer.channels) / lanes) +
                   std::ceil(double(layer.columns) / lanes);
  return cycles + tiles * places * vectors * fact("winograd.moved");
}

static void apply(IRRewriter &rewriter, const StorageProblem &problem,
                  const WindowLayer &layer, const TilePlan &plan) {
  kernel::ContractOp op = problem.op;
  kernel::PackOp pack = problem.pack;
  rewriter.setInsertionPoint(op);
  ImplicitLocOpBuilder b(op.getLoc(), rewriter);
  auto tiles = kernel::WinogradWeightsOp::create(
      b,
      RankedTensorType::get({plan.getPlaces(), layer.channels, layer.columns},
                            b.getF32Type()),
      pack.getSource(), b.getI64IntegerAttr(plan.output),
      b.getI64IntegerAttr(layer.column), b.getI64IntegerAttr(layer.channel),
      b.getDenseI64ArrayAttr(layer.window));
  int64_t width = plan.tiling.vectors * op.getInstruction().getLanes();
  Value empty = tensor::EmptyOp::create(
      b,
      ArrayRef<int64_t>{
          plan.getPlaces(),
          static_cast<int64_t>(llvm::divideCeil(layer.columns, width)),
          layer.channels, width},
      b.getF32Type());
  auto panels = kernel::PackOp::create(
      b, empty.getType(), Type(), tiles, empty, Value(),
      b.getDenseI64ArrayAttr({0}), b.getI64IntegerAttr(2),
      b.getDenseI64ArrayAttr({1}), b.getI64IntegerAttr(1),
      b.getI64IntegerAttr(1), b.getI64IntegerAttr(0), UnitAttr(), UnitAttr());
  rewriter.modifyOpInPlace(op, [&] {
    op.getRhsMutable().assign(panels.getPackedResult());
    op.setStorageAttr(
        WinogradAttr::get(op.getContext(), plan.output, plan.strip));
    op.setTile(plan.tiling.getTile());
  });
  if (pack->use_empty())
    rewriter.eraseOp(pack);
}

SmallVector<StorageOption>
mlir::tamis::findWinograd(const StorageProblem &problem, std::string &reason) {
  kernel::ContractOp op = problem.op;
  reason = "no Winograd: the order of sums is fixed";
  if (isStrict(op))
    return {};
  Type element = getElementTypeOrSelf(op.getLhs().getType());
  reason = "no Winograd of these types";
  if (!isa<VectorFmaAttr>(Attribute(op.getInstruction())) ||
      !isa<FloatType>(problem.view.element) || op.getNibbles() ||
      op.getBlock() || !(element.isF32() || element.isF16()))
    return {};
  reason = "no Winograd: no window of 3x3 that moves by one";
  std::optional<WindowLayer> layer = findLayer(problem);
  if (!layer)
    return {};
  double margin = getFact(problem.profile, "winograd.margin");
  SmallVector<StorageOption> options;
  for (int64_t output : {2, 4}) {
    // What is chosen decides how results are rounded, so threads have no say.
    TilePlan plan = planTiles(problem, *layer, output, /*tasks=*/1);
    StorageOption &option = options.emplace_back();
    option.name = getWinogradName(plan.tiling.getTile(), output, plan.strip);
    option.what = "Winograd";
    option.cycles = price(problem, *layer, plan);
    option.bytes = getBytes(*layer, plan);
    option.margin = margin;
    option.apply = [=](IRRewriter &rewriter) {
      apply(rewriter, problem, *layer, planForTasks(problem, *layer, plan));
    };
    option.leavesZeros = false;
  }
  return options;
}
