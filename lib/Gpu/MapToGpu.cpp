// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Which kernels run on the device, and when the host has to wait for it.
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Linalg/Utils/Utils.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "tamis/Conversion/Workspace.h"
#include "tamis/Gpu/FragmentPrice.h"
#include "tamis/Gpu/Mapping.h"
#include "tamis/Gpu/Passes.h"
#include "tamis/IR/Tamis.h"
#include "tamis/Target/Profile.h"
#include "tamis/Target/Target.h"
#include "llvm/ADT/StringSet.h"
#include <cmath>

namespace mlir::tamis {
#define GEN_PASS_DEF_MAPTOGPU
#include "tamis/Gpu/Passes.h.inc"
} // namespace mlir::tamis

using namespace mlir;
using namespace mlir::tamis;

ArrayRef<GpuMapping> mlir::tamis::getGpuMappings() {
  static const GpuMapping mappings[] = {
      {"fragments", [](Operation *op) { return isa<device::ContractOp>(op); },
       refuseFragments, buildFragments},
      {"attention", isAttention, [](Operation *) { return std::string(); },
       buildAttention},
      {"rows", areRows, refuseRows, buildRows},
      {"elements", [](Operation *op) { return isa<linalg::LinalgOp>(op); },
       refuseElements, buildElements},
  };
  return mappings;
}

/// Computations on buffers; views and sizes beside them stay on the host.
static SmallVector<Operation *> getComputations(func::FuncOp function) {
  SmallVector<Operation *> list;
  for (Operation &op : function.getBody().front().without_terminator())
    if (!isMemoryEffectFree(&op))
      list.push_back(&op);
  return list;
}

/// The first mapping that takes `op`; null with the reason of the last that is
/// for operations like it.
static const GpuMapping *findMapping(Operation *op, std::string &reason) {
  reason = ("'" + op->getName().getStringRef() + "' has no device form").str();
  for (const GpuMapping &mapping : getGpuMappings()) {
    if (!mapping.handles(op))
      continue;
    reason = mapping.refuse(op);
    if (reason.empty())
      return &mapping;
  }
  return nullptr;
}

namespace {
struct MapToGpu : public tamis::impl::MapToGpuBase<MapToGpu> {
  using MapToGpuBase::MapToGpuBase;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    auto main = module.lookupSymbol<func::FuncOp>("main");
    if (!main || module->hasAttr(kDeviceAttrName))
      return;
    llvm::StringSet<> device;
    SmallVector<Attribute> host, others;
    Builder b(&getContext());
    for (auto function : module.getOps<func::FuncOp>()) {
      if (function == main || function.isExternal() ||
          getComputations(function).empty())
        continue;
      std::string mapping;
      std::string reason = map(function, mapping);
      if (reason.empty()) {
        if (DictionaryAttr priced = price(function, mapping))
          others.push_back(priced);
        device.insert(function.getSymName());
        ++numMapped;
        continue;
      }
      ++numHost;
      host.push_back(b.getDictionaryAttr(
          {b.getNamedAttr("kernel", function.getSymNameAttr()),
           b.getNamedAttr("reason", b.getStringAttr(reason))}));
    }
    synchronize(main, device);
    NamedAttrList facts;
    facts.set("kernels", b.getI64IntegerAttr(device.size()));
    facts.set("host", b.getArrayAttr(host));
    if (!others.empty())
      facts.set("others", b.getArrayAttr(others));
    if (Attribute attention = module->removeAttr(kAttentionAttrName))
      facts.set("attention", attention);
    module->setAttr(kDeviceAttrName, facts.getDictionary(&getContext()));
  }

  /// What a kernel that is no contraction is expected to take: all its buffers
  /// once. Null for contractions, which the report has by layer, and where the
  /// profile does not know the device.
  DictionaryAttr price(func::FuncOp function, StringRef mapping) {
    TargetAttr target = getTarget(function);
    if (!target || mapping == "fragments")
      return nullptr;
    double bytes = 0;
    for (Type type : function.getArgumentTypes())
      if (auto memref = dyn_cast<MemRefType>(type))
        bytes += device::getTypicalBytes(memref);
    std::optional<double> time =
        device::priceBytes(getProfile(function, target), bytes);
    if (!time)
      return nullptr;
    int64_t calls = 0;
    getOperation().walk([&](func::CallOp call) {
      calls += call.getCallee() == function.getSymName();
    });
    Builder b(&getContext());
    NamedAttrList facts;
    facts.set("kernel", function.getSymNameAttr());
    facts.set("mapping", b.getStringAttr(mapping));
    facts.set("calls", b.getI64IntegerAttr(calls));
    facts.set("predicted", b.getF64FloatAttr(std::round(*time * 1e3) / 1e3));
    return facts.getDictionary(&getContext());
  }

  /// Maps all of `function` or nothing of it; returns why not. `name` is that
  /// of the last mapping.
  std::string map(func::FuncOp function, std::string &name) {
    for (auto copy : llvm::make_early_inc_range(
             function.getBody().front().getOps<memref::CopyOp>())) {
      OpBuilder b(copy);
      linalg::makeMemRefCopyOp(b, copy.getLoc(), copy.getSource(),
                               copy.getTarget());
      copy.erase();
    }
    SmallVector<Operation *> list = getComputations(function);
    SmallVector<const GpuMapping *> mappings;
    for (Operation *op : list) {
      std::string reason;
      mappings.push_back(findMapping(op, reason));
      if (!mappings.back())
        return reason;
      name = mappings.back()->name;
    }
    for (auto [op, mapping] : llvm::zip(list, mappings)) {
      OpBuilder b(op);
      mapping->build(b, op);
      op->erase();
    }
    nameLaunches(function);
    return "";
  }

  /// Upstream names the first launch of a function, and would name others the
  /// same.
  static void nameLaunches(func::FuncOp function) {
    int64_t count = 0;
    function.walk([&](gpu::LaunchOp launch) {
      if (count++ > 0)
        launch.setFunctionAttr(FlatSymbolRefAttr::get(
            function.getContext(),
            (function.getSymName() + "_kernel_" + Twine(count - 1)).str()));
    });
  }

  /// Whether `buffer` is the error word, which no kernel on the device has.
  static bool isErrorWord(Value buffer) {
    auto view = buffer.getDefiningOp<memref::ViewOp>();
    return view && isa<BlockArgument>(view.getSource()) &&
           isConstantIntValue(view.getByteShift(), workspace::kError) &&
           view.getType().getRank() == 0;
  }

  /// Whether `op` reads or writes, on the host, memory the device may use.
  static bool touchesMemory(Operation *op, const llvm::StringSet<> &device) {
    if (auto call = dyn_cast<func::CallOp>(op))
      return !device.contains(call.getCallee());
    // Loops and branches wait inside, allocations have nothing to wait for.
    if (op->getNumRegions() && isa<scf::SCFDialect>(op->getDialect()))
      return false;
    if (auto load = dyn_cast<memref::LoadOp>(op))
      return !isErrorWord(load.getMemRef());
    if (auto store = dyn_cast<memref::StoreOp>(op))
      return !isErrorWord(store.getMemRef());
    return !isa<memref::AllocOp>(op) && !isMemoryEffectFree(op);
  }

  void synchronize(func::FuncOp main, const llvm::StringSet<> &device) {
    if (device.empty())
      return;
    func::FuncOp wait = declareRuntime(getOperation(), kWaitName, {}, {});
    OpBuilder b(&getContext());
    main.walk([&](Block *block) {
      // What ran before the block may still be running.
      bool pending = true;
      for (Operation &op : llvm::make_early_inc_range(*block)) {
        bool leaves = isa<func::ReturnOp>(op);
        if (pending && (leaves || touchesMemory(&op, device))) {
          b.setInsertionPoint(&op);
          func::CallOp::create(b, op.getLoc(), wait, ValueRange{});
          pending = false;
        }
        if (op.getNumRegions() || isa<func::CallOp>(op))
          pending |= !touchesMemory(&op, device);
      }
    });
  }
};
} // namespace
