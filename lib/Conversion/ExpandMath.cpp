// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Transcendental functions of float32 as straight-line code on any vector
// width, so that no loop calls libm: which operations, for which target.
#include "ExpandMathCalculator.h"
#include "SplatConstant.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "tamis/Conversion/Passes.h"
#include "tamis/IR/Tamis.h"
#include "tamis/Target/Target.h"
#include "tamis/Transforms/RowLanes.h"
#include "llvm/ADT/TypeSwitch.h"

namespace mlir::tamis {
#define GEN_PASS_DEF_EXPANDMATH
#include "tamis/Conversion/Passes.h.inc"
} // namespace mlir::tamis

using namespace mlir;
using namespace mlir::tamis;

/// pow with an exponent that multiplication, root or nothing replaces.
static Value powByConstant(Calculator &c, Value x, Value y) {
  auto scalar = getSplatConstant<FloatAttr>(y);
  if (!scalar)
    return {};
  double exponent = scalar.getValueAsDouble();
  if (exponent == 1.0)
    return x;
  if (exponent == 2.0)
    return c.mul(x, x);
  if (exponent == 3.0)
    return c.mul(c.mul(x, x), x);
  if (exponent == -1.0)
    return c.div(c.number(1.0), x);
  if (exponent == 0.5) {
    // pow(-0, 0.5) = 0 and pow(-inf, 0.5) = inf, unlike sqrt.
    double inf = std::numeric_limits<double>::infinity();
    Value root = c.abs(math::SqrtOp::create(c.b, x));
    return c.select(c.compare(CmpFPredicate::OEQ, x, c.number(-inf)),
                    c.number(inf), root);
  }
  return {};
}

static Value expand(Operation *op, Calculator &c, ValueRange x) {
  return llvm::TypeSwitch<Operation *, Value>(op)
      .Case([&](math::ExpOp) { return c.exp(x[0]); })
      .Case([&](math::Exp2Op) { return c.exp2(x[0]); })
      .Case([&](math::ExpM1Op) { return c.expm1(x[0]); })
      .Case([&](math::TanhOp) { return c.tanh(x[0]); })
      .Case([&](math::ErfOp) { return c.erf(x[0]); })
      .Case([&](math::LogOp) { return c.log(x[0], /*base2=*/false); })
      .Case([&](math::Log2Op) { return c.log(x[0], /*base2=*/true); })
      .Case([&](math::Log10Op) {
        return c.mul(c.log(x[0], false), c.number(0.4342944819032518));
      })
      .Case([&](math::Log1pOp) { return c.log1p(x[0]); })
      .Case([&](math::SinOp) { return c.sine(x[0], /*cosine=*/false); })
      .Case([&](math::CosOp) { return c.sine(x[0], /*cosine=*/true); })
      .Case([&](math::RsqrtOp) {
        return c.div(c.number(1.0), Value(math::SqrtOp::create(c.b, x[0])));
      })
      .Case([&](math::PowFOp) {
        Value simple = powByConstant(c, x[0], x[1]);
        return simple ? simple : c.pow(x[0], x[1]);
      })
      .Case([&](arith::MaximumFOp) {
        return c.extremum(x[0], x[1], CmpFPredicate::OGT);
      })
      .Case([&](arith::MinimumFOp) {
        return c.extremum(x[0], x[1], CmpFPredicate::OLT);
      })
      .Case([&](arith::MaxNumFOp) {
        return c.extremeNumber(x[0], x[1], CmpFPredicate::OGT);
      })
      .Case([&](arith::MinNumFOp) {
        return c.extremeNumber(x[0], x[1], CmpFPredicate::OLT);
      })
      .Default(Value());
}

/// Whether lanes of a device put their parts of a reduction together by `op`.
/// The mapping has to recognize it; the kernel it makes comes here again.
static bool isLaneCombiner(Operation *op) {
  auto structured = dyn_cast<linalg::LinalgOp>(op->getParentOp());
  if (!structured || getDevice(getTarget(op)) == DeviceKind::None)
    return false;
  for (unsigned i = 0; i < structured.getNumDpsInits(); ++i)
    if (getLaneCombiner(structured, i) == op)
      return true;
  return false;
}

namespace {
struct ExpandMath : public tamis::impl::ExpandMathBase<ExpandMath> {
  using ExpandMathBase::ExpandMathBase;

  void runOnOperation() override {
    SmallVector<Operation *> ops;
    getOperation()->walk([&](Operation *op) {
      bool extremum = isa<arith::MaximumFOp, arith::MinimumFOp>(op);
      // Devices have an instruction.
      bool number = isa<arith::MaxNumFOp, arith::MinNumFOp>(op) &&
                    getDevice(getTarget(op)) == DeviceKind::None;
      if (op->getNumResults() != 1 ||
          (op->getName().getDialectNamespace() != "math" && !extremum &&
           !number))
        return;
      Type element = getElementTypeOrSelf(op->getResult(0).getType());
      bool narrow = element.isF32() || element.isF16() || element.isBF16();
      bool floats = llvm::all_of(op->getOperandTypes(), [&](Type type) {
        return getElementTypeOrSelf(type) == element;
      });
      if (narrow && floats && !(extremum && isLaneCombiner(op)))
        ops.push_back(op);
    });
    for (Operation *op : ops) {
      ImplicitLocOpBuilder b(op->getLoc(), op);
      Type type = op->getResult(0).getType();
      auto vector = dyn_cast<VectorType>(type);
      if (!vector && !type.isFloat())
        continue;
      tamis::TargetAttr target = findTarget(op);
      Calculator c(b, type, target && target.hasFeature("fma"),
                   target && target.hasFeature("avx512f"));
      Type f32 = c.like(b.getF32Type());
      SmallVector<Value> operands;
      for (Value operand : op->getOperands())
        operands.push_back(type == f32
                               ? operand
                               : Value(arith::ExtFOp::create(b, f32, operand)));
      Value result = expand(op, c, operands);
      if (!result) {
        for (Value operand : operands)
          if (Operation *def = operand.getDefiningOp(); def && def->use_empty())
            def->erase();
        continue;
      }
      if (type != f32)
        result = arith::TruncFOp::create(b, type, result);
      op->replaceAllUsesWith(ValueRange{result});
      op->erase();
      ++numExpanded;
    }
  }

  static tamis::TargetAttr findTarget(Operation *op) {
    for (; op; op = op->getParentOp()) {
      Attribute attr = op->getAttr("tamis.target");
      if (auto list = dyn_cast_or_null<ArrayAttr>(attr); list && !list.empty())
        attr = list[0];
      if (auto target = dyn_cast_or_null<tamis::TargetAttr>(attr))
        return target;
    }
    return {};
  }
};
} // namespace
