// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A device sees the weights, but no constants of the host's code.
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MLProgram/IR/MLProgram.h"
#include "tamis/Gpu/Passes.h"
#include "tamis/Target/ParameterLayout.h"

namespace mlir::tamis {
#define GEN_PASS_DEF_HOISTCONSTANTS
#include "tamis/Gpu/Passes.h.inc"
} // namespace mlir::tamis

using namespace mlir;
using namespace mlir::tamis;

namespace {
struct HoistConstants : public tamis::impl::HoistConstantsBase<HoistConstants> {
  using HoistConstantsBase::HoistConstantsBase;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    auto main = module.lookupSymbol<func::FuncOp>("main");
    if (!main)
      return;
    SymbolTable symbols(module);
    DenseMap<Attribute, ml_program::GlobalOp> known;
    main.walk([&](arith::ConstantOp constant) {
      auto type = dyn_cast<RankedTensorType>(constant.getType());
      if (!type || !ParameterLayout::getElementBytes(type.getElementType()))
        return;
      ml_program::GlobalOp &global = known[constant.getValue()];
      if (!global) {
        OpBuilder b(main);
        global = ml_program::GlobalOp::create(
            b, constant.getLoc(), "constant", type, /*is_mutable=*/false,
            constant.getValue(), b.getStringAttr("private"));
        symbols.insert(global);
        ++numHoisted;
      }
      OpBuilder b(constant);
      Value load = ml_program::GlobalLoadConstOp::create(
          b, constant.getLoc(), type, SymbolRefAttr::get(global));
      constant.replaceAllUsesWith(load);
      constant.erase();
    });
  }
};
} // namespace
