// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Convolutions around a depthwise one take turns, line by line of the image. A
// depthwise convolution multiplies little and moves much: its operands should
// come from the cache that its neighbours left them in. On buffers, as strips
// are made (FuseAttention.cpp); each line is the kernel of the whole image on
// slices, so the bits are the same.
#include "BufferAccesses.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "tamis/IR/Tamis.h"
#include "tamis/Kernels/Classify.h"
#include "tamis/Kernels/Passes.h"
#include "tamis/Kernels/Tiling.h"
#include "tamis/Target/Target.h"

namespace mlir::tamis {
#define GEN_PASS_DEF_FUSEWINDOWS
#include "tamis/Kernels/Passes.h.inc"
} // namespace mlir::tamis

using namespace mlir;
using namespace mlir::tamis;

/// Images are axis 0 of every operand, their lines axis 1.
static constexpr unsigned kImage = 0, kLine = 1, kPlace = 2;
/// A line has at least so many register blocks: its tail must not show.
static constexpr int64_t kBlocksOfLine = 4;
/// More lines at a time gain nothing once most of a window is shared.
static constexpr int64_t kMostLines = 8;

namespace {
/// The lines of an operand that one line of the result is made from: those from
/// `stride` times its number on, `reach` of them.
struct Window {
  int64_t stride = 1, reach = 1;
};

/// A convolution whose lines can be made a few at a time.
struct Member {
  kernel::ContractOp op;
  unsigned image, line; // iteration dimensions
  Window window;        // of lhs
  int64_t unit = 1;     // lines made at a time

  static std::optional<Member> get(kernel::ContractOp op);

  int64_t countLines() const {
    return kernel::ContractOp(op).getBounds()[line];
  }
  bool isDepthwise() const;
  bool isPointwise() const { return window.reach == 1 && window.stride == 1; }
};

/// Members in the order they run, each reading one before it.
struct Chain {
  SmallVector<Member, 3> members;

  /// True if all members before `writer` are done with the lines of `base` that
  /// it writes: a sum that takes the place of one of its operands.
  bool haveRead(Value base, size_t writer) const;
  /// True if all can run where the last one is, in turns.
  bool canInterleave() const;
  /// The buffers of which no more than the line at hand is needed.
  SmallVector<memref::AllocOp> findLocals() const;
};
} // namespace

static MemRefType getType(Value value) {
  return cast<MemRefType>(value.getType());
}

std::optional<Member> Member::get(kernel::ContractOp op) {
  AffineMap lhs = op.getLhsMap(), out = op.getOutMap();
  if (!isa<MemRefType>(op.getInit().getType()) || op.getStorage() ||
      op.getBlock() || op.getTasks() != 1 ||
      Tiling::get(op.getTile()).strip != 0 || out.getNumResults() <= kPlace ||
      lhs.getNumResults() <= kPlace || !out.isProjectedPermutation())
    return std::nullopt;
  Member member{op, out.getDimPosition(kImage), out.getDimPosition(kLine), {}};
  auto follows = [&](AffineExpr expr) {
    return expr.isFunctionOfDim(member.image) ||
           expr.isFunctionOfDim(member.line);
  };
  FailureOr<SmallVector<int64_t>> lines =
      getCoefficients(lhs.getResult(kLine), lhs.getNumDims());
  if (failed(lines) || (*lines)[member.line] == 0 ||
      lhs.getResult(kImage) != out.getResult(kImage) ||
      llvm::any_of(lhs.getResults().drop_front(kPlace), follows) ||
      llvm::any_of(op.getRhsMap().getResults(), follows))
    return std::nullopt;
  member.window.stride = (*lines)[member.line];
  for (auto [d, coefficient] : llvm::enumerate(*lines)) {
    if (d == member.line || coefficient == 0)
      continue;
    if (ShapedType::isDynamic(op.getBounds()[d]))
      return std::nullopt;
    member.window.reach += coefficient * (op.getBounds()[d] - 1);
  }
  for (unsigned i = 0; i < op.getExtras().size(); ++i)
    for (auto [axis, expr] : llvm::enumerate(op.getExtraMap(i).getResults()))
      if (follows(expr) && (axis > kLine || expr != out.getResult(axis)))
        return std::nullopt;
  ArrayRef<int64_t> shape = getType(op.getInit()).getShape();
  if (ShapedType::isDynamicShape(shape.drop_front(kLine)) ||
      ShapedType::isDynamicShape(
          getType(op.getLhs()).getShape().drop_front(kLine)) ||
      shape[kPlace] < kBlocksOfLine * Tiling::get(op.getTile()).rows)
    return std::nullopt;
  return member;
}

bool Member::isDepthwise() const {
  auto contract = op;
  AffineMap out = contract.getOutMap();
  unsigned column = out.getDimPosition(out.getNumResults() - 1);
  return window.reach > 1 && contract.getLhsMap().isFunctionOfDim(column);
}

/// Where the lines of `value` begin in its base, if that can be told.
static std::optional<int64_t> getFirstLine(Value value) {
  Value base = getBase(value);
  if (value == base)
    return 0;
  auto view = value.getDefiningOp<memref::SubViewOp>();
  if (!view || view.getSource() != base ||
      getType(view).getRank() != getType(base).getRank() ||
      !llvm::all_of(view.getStaticStrides(), [](int64_t s) { return s == 1; }))
    return std::nullopt;
  int64_t offset = view.getStaticOffsets()[kLine];
  return ShapedType::isDynamic(offset) || view.getStaticOffsets()[kImage] != 0
             ? std::nullopt
             : std::optional(offset);
}

static int64_t getBytes(ArrayRef<int64_t> shape, Type element) {
  return ShapedType::getNumElements(shape) *
         llvm::divideCeil(element.getIntOrFloatBitWidth(), 8);
}

static int64_t getL2(kernel::ContractOp op) {
  TargetAttr target = getTarget(op);
  return target ? target.getL2() : 1 << 20;
}

/// Bytes of some of the last dimensions of a buffer.
static int64_t getBytesFrom(unsigned axis, Value buffer) {
  MemRefType type = getType(buffer);
  return getBytes(type.getShape().drop_front(axis), type.getElementType());
}

/// The most lines a depthwise convolution makes at a time: lines that windows
/// share are read once from L1, and all of them stay in L2. 0 where lines do
/// not divide well.
static int64_t chooseUnit(const Member &center) {
  kernel::ContractOp op = center.op;
  for (int64_t unit = kMostLines; unit > 1; --unit) {
    int64_t lines = center.window.reach + (unit - 1) * center.window.stride;
    if (center.countLines() % unit == 0 &&
        lines * getBytesFrom(kPlace, op.getLhs()) +
                unit * getBytesFrom(kPlace, op.getInit()) <=
            getL2(op) / 2)
      return unit;
  }
  return 0;
}

/// True if what `producer` makes does not stay in L2 as a whole, but the
/// weights of both do.
static bool pays(const Member &producer, const Member &consumer) {
  auto from = producer.op, to = consumer.op;
  if (!getType(from.getRhs()).hasStaticShape() ||
      !getType(to.getRhs()).hasStaticShape())
    return false;
  return getBytesFrom(kLine, from.getInit()) > getL2(from) / 2 &&
         getBytesFrom(0, from.getRhs()) + getBytesFrom(0, to.getRhs()) <=
             getL2(from) / 4;
}

bool Chain::haveRead(Value base, size_t writer) const {
  auto written = members[writer].op;
  for (size_t i = 0; i < writer; ++i) {
    auto op = members[i].op;
    for (Value operand : op->getOperands()) {
      if (!isa<MemRefType>(operand.getType()) || getBase(operand) != base)
        continue;
      if (operand != op.getLhs() || !members[i].isPointwise() ||
          getFirstLine(operand) != getFirstLine(written.getInit()))
        return false;
    }
    // So that the next member's line has been made when this one's is written.
    auto reader = members[i + 1].op;
    const Window &window = members[i + 1].window;
    if (window.stride != 1 ||
        window.reach - 1 + *getFirstLine(reader.getLhs()) <
            *getFirstLine(op.getInit()))
      return false;
  }
  return true;
}

/// True if `member` reads what those before it have written through lines
/// alone.
static bool readsByLine(const Member &member, const BufferAccesses &before) {
  auto op = member.op;
  auto isWritten = [&](Value value) {
    return isa<MemRefType>(value.getType()) &&
           before.writes.contains(getBase(value));
  };
  for (auto [i, extra] : llvm::enumerate(op.getExtras())) {
    AffineMap map = op.getExtraMap(i);
    if (isWritten(extra) &&
        (map.getNumResults() <= kLine ||
         map.getResult(kLine) != op.getOutMap().getResult(kLine) ||
         !getFirstLine(extra)))
      return false;
  }
  return !isWritten(op.getRhs()) && !(op.getSums() && isWritten(op.getSums()));
}

bool Chain::canInterleave() const {
  Operation *last = members.back().op;
  BufferAccesses before;
  size_t next = 0;
  for (Operation *op = members.front().op;; op = op->getNextNode()) {
    std::optional<BufferAccesses> accesses = BufferAccesses::get(op);
    if (!accesses)
      return false;
    if (next == members.size() || op != members[next].op) {
      // It will run before all of them.
      if (accesses->clashes(before))
        return false;
      continue;
    }
    if (!readsByLine(members[next], before))
      return false;
    // A line must not be written while others still read what is there.
    for (Value base : accesses->writes)
      if (before.writes.contains(base) ||
          (before.reads.contains(base) && !haveRead(base, next)))
        return false;
    ++next;
    before.add(*accesses);
    if (op == last)
      return true;
  }
}

SmallVector<memref::AllocOp> Chain::findLocals() const {
  SmallVector<memref::AllocOp> locals;
  for (size_t i = 0; i + 1 < members.size(); ++i) {
    auto writer = members[i].op, reader = members[i + 1].op;
    auto alloc = writer.getInit().getDefiningOp<memref::AllocOp>();
    if (alloc && reader.getLhs() == alloc && members[i + 1].isPointwise() &&
        llvm::all_of(alloc->getUsers(),
                     [&](Operation *u) {
                       return u == writer || u == reader ||
                              isa<memref::DimOp>(u);
                     }) &&
        llvm::count(reader->getOperands(), alloc.getResult()) == 1)
      locals.push_back(alloc);
  }
  return locals;
}

//===-- the loop ----------------------------------------------------------===//

namespace {
/// Emits the loop of one chain.
struct LineEmitter {
  const Chain &chain;
  ImplicitLocOpBuilder b;
  /// The one line that stands for a whole buffer.
  DenseMap<Value, Value> local;
  Value image;

  explicit LineEmitter(const Chain &chain)
      : chain(chain), b(kernel::ContractOp(chain.members.back().op).getLoc(),
                        chain.members.back().op) {}

  Value constant(int64_t value) {
    return arith::ConstantIndexOp::create(b, value);
  }
  Value slice(Value buffer, AffineMap map, const Member &member, Value line,
              Window window);
  void emitUnit(const Member &member, Value line);
  void emitLines(const Member &member, Value from, Value to);
  /// How many lines of each member the first `count` lines of the last need.
  SmallVector<Value> countNeeded(Value count);
  void emitImage();
  /// Returns how many buffers became one line.
  int64_t emit();
};
} // namespace

Value LineEmitter::slice(Value buffer, AffineMap map, const Member &member,
                         Value line, Window window) {
  if (!isa<MemRefType>(buffer.getType()))
    return buffer;
  Value source = local.contains(buffer) ? local.lookup(buffer) : buffer;
  SmallVector<OpFoldResult> offsets, sizes;
  for (auto [axis, expr] : llvm::enumerate(map.getResults())) {
    OpFoldResult offset = b.getIndexAttr(0),
                 size = memref::getMixedSize(b, b.getLoc(), source, axis);
    if (expr.isFunctionOfDim(member.line)) {
      if (source == buffer)
        offset = b.createOrFold<arith::MulIOp>(line, constant(window.stride));
      size = b.getIndexAttr(window.reach + (member.unit - 1) * window.stride);
    } else if (expr.isFunctionOfDim(member.image)) {
      if (source == buffer)
        offset = image;
      size = b.getIndexAttr(1);
    }
    offsets.push_back(offset);
    sizes.push_back(size);
  }
  SmallVector<OpFoldResult> ones(offsets.size(), b.getIndexAttr(1));
  return memref::SubViewOp::create(b, source, offsets, sizes, ones);
}

void LineEmitter::emitUnit(const Member &member, Value line) {
  kernel::ContractOp op = member.op;
  auto clone = cast<kernel::ContractOp>(b.clone(*op.getOperation()));
  b.setInsertionPoint(clone);
  clone.getLhsMutable().assign(
      slice(op.getLhs(), op.getLhsMap(), member, line, member.window));
  clone.getInitMutable().assign(
      slice(op.getInit(), op.getOutMap(), member, line, {}));
  for (auto [i, extra] : llvm::enumerate(clone.getExtrasMutable()))
    extra.set(slice(extra.get(), op.getExtraMap(i), member, line, {}));
  SmallVector<int64_t> bounds(op.getBounds());
  bounds[member.image] = 1;
  bounds[member.line] = member.unit;
  clone.setBounds(bounds);
  Tiling tiling = Tiling::get(op.getTile());
  tiling.positions = 0; // a unit is a cache block
  clone.setTile(tiling.getTile());
  b.setInsertionPointAfter(clone);
}

void LineEmitter::emitLines(const Member &member, Value from, Value to) {
  auto loop = scf::ForOp::create(b, from, to, constant(member.unit));
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(loop.getBody());
  emitUnit(member, loop.getInductionVar());
}

SmallVector<Value> LineEmitter::countNeeded(Value count) {
  SmallVector<Value> needed(chain.members.size());
  needed.back() = count;
  for (int64_t i = needed.size() - 2; i >= 0; --i) {
    kernel::ContractOp writer = chain.members[i].op;
    Value base = getBase(writer.getInit());
    int64_t first = *getFirstLine(writer.getInit());
    auto need = [&](size_t reader, Value operand, Window window) {
      int64_t more = window.reach - window.stride + *getFirstLine(operand);
      Value lines = b.createOrFold<arith::AddIOp>(
          b.createOrFold<arith::MulIOp>(needed[reader],
                                        constant(window.stride)),
          constant(more - first));
      needed[i] =
          needed[i] ? b.createOrFold<arith::MaxSIOp>(needed[i], lines) : lines;
    };
    for (size_t j = i + 1; j < needed.size(); ++j) {
      kernel::ContractOp reader = chain.members[j].op;
      if (getBase(reader.getLhs()) == base)
        need(j, reader.getLhs(), chain.members[j].window);
      for (Value extra : reader.getExtras())
        if (isa<MemRefType>(extra.getType()) && getBase(extra) == base)
          need(j, extra, {});
    }
    needed[i] = b.createOrFold<arith::MinSIOp>(
        needed[i], constant(chain.members[i].countLines()));
  }
  return needed;
}

void LineEmitter::emitImage() {
  const Member &last = chain.members.back();
  auto producers = ArrayRef(chain.members).drop_back();
  Value zero = constant(0);
  auto walk = scf::ForOp::create(b, zero, constant(last.countLines()),
                                 constant(last.unit),
                                 SmallVector<Value>(producers.size(), zero));
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(walk.getBody());
    Value line = walk.getInductionVar();
    SmallVector<Value> needed =
        countNeeded(b.createOrFold<arith::AddIOp>(line, constant(last.unit)));
    needed.pop_back();
    for (auto [member, from, to] :
         llvm::zip_equal(producers, walk.getRegionIterArgs(), needed))
      emitLines(member, from, to);
    emitUnit(last, line);
    scf::YieldOp::create(b, needed);
  }
  // Lines that no other one is made from, for readers elsewhere.
  SmallVector<Value> needed = countNeeded(constant(last.countLines()));
  for (auto [member, done, count] :
       llvm::zip(producers, walk.getResults(), needed))
    if (getConstantIntValue(count) != member.countLines())
      emitLines(member, done, constant(member.countLines()));
}

int64_t LineEmitter::emit() {
  for (memref::AllocOp alloc : chain.findLocals()) {
    SmallVector<int64_t> shape(alloc.getType().getShape());
    shape[kImage] = 1;
    shape[kLine] = chain.members.back().unit;
    local[alloc] = memref::AllocOp::create(
        b, MemRefType::get(shape, alloc.getType().getElementType()),
        ValueRange(), alloc.getAlignmentAttr());
  }
  kernel::ContractOp last = chain.members.back().op;
  Value images = getValueOrCreateConstantIndexOp(
      b, b.getLoc(),
      memref::getMixedSize(b, b.getLoc(), last.getInit(), kImage));
  auto loop = scf::ForOp::create(b, constant(0), images, constant(1));
  b.setInsertionPointToStart(loop.getBody());
  image = loop.getInductionVar();
  emitImage();
  for (const Member &member : llvm::reverse(chain.members))
    kernel::ContractOp(member.op).erase();
  for (auto [alloc, line] : local)
    alloc.getDefiningOp()->erase();
  return local.size();
}

//===-- pass --------------------------------------------------------------===//

namespace {
struct FuseWindows : tamis::impl::FuseWindowsBase<FuseWindows> {
  /// Members of chains.
  llvm::SmallPtrSet<Operation *, 8> taken;

  /// The nearest member in one direction that `joins`.
  template <typename Next, typename Joins>
  std::optional<Member> find(Operation *from, Next next, Joins joins) {
    for (Operation *op = next(from); op; op = next(op))
      if (auto contract = dyn_cast<kernel::ContractOp>(op);
          contract && isa<MemRefType>(contract.getInit().getType()) &&
          joins(contract))
        return taken.contains(op) ? std::nullopt : Member::get(contract);
    return std::nullopt;
  }

  /// What comes before and after a depthwise convolution, as far as it pays.
  SmallVector<Chain> findChains(Member center) {
    kernel::ContractOp op = center.op;
    center.unit = chooseUnit(center);
    if (center.unit == 0)
      return {};
    auto before = find(
        op, [](Operation *o) { return o->getPrevNode(); },
        [&](kernel::ContractOp other) {
          return getBase(other.getInit()) == getBase(op.getLhs());
        });
    auto after = find(
        op, [](Operation *o) { return o->getNextNode(); },
        [&](kernel::ContractOp other) {
          return getBase(other.getLhs()) == getBase(op.getInit());
        });
    auto hasLines = [](Value value) { return getFirstLine(value).has_value(); };
    if (before && !(pays(*before, center) && hasLines(before->op.getInit()) &&
                    hasLines(op.getLhs())))
      before = std::nullopt;
    if (after && !(after->isPointwise() && pays(center, *after) &&
                   hasLines(op.getInit()) && hasLines(after->op.getLhs())))
      after = std::nullopt;
    if (after)
      after->unit = center.unit;
    SmallVector<Chain> chains;
    if (before && after)
      chains.push_back({{*before, center, *after}});
    if (after)
      chains.push_back({{center, *after}});
    if (before)
      chains.push_back({{*before, center}});
    return chains;
  }

  void runOnOperation() override {
    taken.clear();
    SmallVector<Chain> chosen;
    getOperation()->walk([&](kernel::ContractOp op) {
      std::optional<Member> center = Member::get(op);
      if (!center || !center->isDepthwise() || taken.contains(op))
        return;
      SmallVector<Chain> chains = findChains(*center);
      auto *chain = llvm::find_if(
          chains, [](const Chain &chain) { return chain.canInterleave(); });
      if (chain == chains.end()) {
        numLeft += !chains.empty();
        return;
      }
      for (const Member &member : chain->members)
        taken.insert(member.op);
      chosen.push_back(*chain);
    });
    for (const Chain &chain : chosen)
      numLocal += LineEmitter(chain).emit();
    numFused += chosen.size();
  }
};
} // namespace
