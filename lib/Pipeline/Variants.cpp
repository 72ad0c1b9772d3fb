// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Several machines, one artifact.
#include "tamis/Pipeline/Variants.h"
#include "mlir/Dialect/MLProgram/IR/MLProgram.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/FunctionInterfaces.h"
#include "tamis/Target/Target.h"

using namespace mlir;

void mlir::tamis::unifyParameters(ArrayRef<ModuleOp> variants) {
  // All parameters in order of appearance, by value and type.
  SmallVector<ml_program::GlobalOp> all;
  DenseMap<std::pair<Attribute, Type>, StringAttr> names;
  for (ModuleOp module : variants) {
    for (auto global : module.getOps<ml_program::GlobalOp>()) {
      auto key = std::pair(global.getValueAttr(), global.getType());
      auto name = StringAttr::get(module.getContext(),
                                  "parameter_" + Twine(all.size()));
      auto [it, inserted] = names.try_emplace(key, name);
      if (inserted) {
        OpBuilder b(module.getContext());
        auto copy = cast<ml_program::GlobalOp>(b.clone(*global));
        copy.setSymName(name);
        all.push_back(copy);
      }
    }
  }
  for (ModuleOp module : variants) {
    llvm::StringMap<StringAttr> renamed;
    for (auto global :
         llvm::make_early_inc_range(module.getOps<ml_program::GlobalOp>())) {
      renamed[global.getSymName()] =
          names.lookup({global.getValueAttr(), global.getType()});
      global.erase();
    }
    module.walk([&](ml_program::GlobalLoadConstOp load) {
      load.setGlobalAttr(SymbolRefAttr::get(
          renamed.lookup(load.getGlobal().getLeafReference())));
    });
    OpBuilder b = OpBuilder::atBlockBegin(module.getBody());
    for (ml_program::GlobalOp global : all)
      b.clone(*global);
  }
  for (ml_program::GlobalOp global : all)
    global.erase();
}

void mlir::tamis::mergeVariants(ArrayRef<ModuleOp> variants) {
  for (size_t number = 0; number < variants.size(); ++number) {
    ModuleOp module = variants[number];
    Attribute target = module->getAttr(kTargetAttrName);
    SymbolTable table(module);
    for (Operation &op : llvm::make_early_inc_range(*module.getBody())) {
      if (isa<ml_program::GlobalOp>(op)) {
        if (number > 0) // the first has them all
          op.erase();
        continue;
      }
      auto symbol = dyn_cast<SymbolOpInterface>(op);
      auto function = dyn_cast<FunctionOpInterface>(op);
      if (function && !function.isExternal())
        op.setAttr(kTargetAttrName, target);
      // Entry points and the runtime's functions have names of their own.
      if (number == 0 || !symbol || symbol.getName().starts_with("tamis_"))
        continue;
      (void)table.rename(&op,
                         ("v" + Twine(number) + "_" + symbol.getName()).str());
    }
  }
  ModuleOp first = variants.front();
  Block *body = first.getBody();
  SymbolTable merged(first);
  for (ModuleOp module : variants.drop_front())
    for (Operation &op : llvm::make_early_inc_range(*module.getBody())) {
      auto symbol = dyn_cast<SymbolOpInterface>(op);
      if (symbol && merged.lookup(symbol.getName())) {
        op.erase(); // a declaration both have
        continue;
      }
      op.moveBefore(body, body->end());
    }
}
