// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The border between values and memory: who owns the bytes of inputs, outputs
// and parameters. Done before bufferization, so that it can compute results
// in place.
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Bufferization/IR/BufferizableOpInterface.h"
#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/MLProgram/IR/MLProgram.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Interfaces/DestinationStyleOpInterface.h"
#include "mlir/Interfaces/LoopLikeInterface.h"
#include "tamis/Conversion/Passes.h"
#include "tamis/Execution/Interface.h"
#include "tamis/IR/Tamis.h"
#include "tamis/Target/ParameterLayout.h"
#include "tamis/Target/Target.h"
#include <map>

namespace mlir::tamis {
#define GEN_PASS_DEF_BINDBUFFERS
#include "tamis/Conversion/Passes.h.inc"

namespace {

MemRefType getBufferType(Type tensor) {
  auto type = cast<RankedTensorType>(tensor);
  return MemRefType::get(type.getShape(), type.getElementType());
}

struct BindBuffers : impl::BindBuffersBase<BindBuffers> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    auto main = module.lookupSymbol<func::FuncOp>("main");
    if (!main) {
      module.emitError("expected a function @main");
      return signalPassFailure();
    }
    if (!llvm::all_of(main.getArgumentTypes(), llvm::IsaPred<RankedTensorType>))
      return; // bound already
    bindOrigins(main);
    if (failed(describe(module, main)))
      return signalPassFailure();
    Block &entry = main.getBody().front();
    Location loc = main.getLoc();
    OpBuilder b(&entry, entry.begin());

    for (BlockArgument argument : entry.getArguments()) {
      Type tensor = argument.getType();
      argument.setType(getBufferType(tensor));
      auto value = bufferization::ToTensorOp::create(b, loc, tensor, argument,
                                                     /*restrict=*/true);
      argument.replaceAllUsesExcept(value, value);
    }
    bindResults(main, entry);
    auto bytes = MemRefType::get({ShapedType::kDynamic}, b.getI8Type());
    SmallVector<DictionaryAttr> attributes;
    main.getAllArgAttrs(attributes);
    entry.addArgument(bytes, loc);
    Value weights = entry.addArgument(bytes, loc);
    attributes.resize(entry.getNumArguments(), b.getDictionaryAttr({}));
    if (failed(bindParameters(main, weights)))
      return signalPassFailure();
    main.setFunctionType(b.getFunctionType(entry.getArgumentTypes(), {}));
    main.setAllArgAttrs(attributes);
    main.setAllResultAttrs(ArrayRef<DictionaryAttr>{});
  }

  /// The operand that `value` is a changed form of, if any.
  static OpOperand *getChanged(OpResult value) {
    Operation *op = value.getOwner();
    if (auto insert = dyn_cast<tensor::InsertSliceOp>(op))
      return &insert.getDestMutable();
    if (auto loop = dyn_cast<LoopLikeOpInterface>(op))
      return loop.getTiedLoopInit(value); // a while loop ties none
    if (auto destination = dyn_cast<DestinationStyleOpInterface>(op))
      return destination.getTiedOpOperand(value);
    return nullptr;
  }

  /// By result, the values in whose memory it may lie.
  static SmallVector<SetVector<Value>> getPlaces(ValueRange results,
                                                 Block &entry) {
    bufferization::BufferizationOptions options;
    bufferization::AnalysisState state(options);
    SmallVector<SetVector<Value>> places(results.size());
    for (auto [result, values] : llvm::zip_equal(results, places)) {
      values.insert(result);
      for (unsigned next = 0; next < values.size(); ++next) {
        auto argument = dyn_cast<BlockArgument>(values[next]);
        if (argument && argument.getOwner() == &entry)
          continue;
        for (auto alias : state.getAliasingOpOperands(values[next]))
          values.insert(alias.opOperand->get());
      }
    }
    return places;
  }

  /// Finds the results made by changing an argument, operation after operation.
  ///
  /// Results are written when all are computed, one after the other, and on the
  /// way to it each is computed in its buffer. What lies there and is another
  /// result, or changed into one, would be read when the first one has been
  /// written, so that one of them starts from a copy.
  void bindOrigins(func::FuncOp main) {
    Block &entry = main.getBody().front();
    Operation *ret = entry.getTerminator();
    llvm::SmallDenseSet<unsigned> taken;
    for (auto [i, result] : llvm::enumerate(ret->getOperands())) {
      auto argument = dyn_cast<BlockArgument>(findOrigin(result));
      if (argument && argument.getOwner() == &entry &&
          argument.getType() == result.getType() &&
          taken.insert(argument.getArgNumber()).second)
        states[i] = argument.getArgNumber();
    }
    SmallVector<SetVector<Value>> places = getPlaces(ret->getOperands(), entry);
    for (OpOperand &operand : ret->getOpOperands()) {
      Value result = operand.get();
      copyShared(operand, [&](Value value) {
        if (auto argument = dyn_cast<BlockArgument>(value))
          return llvm::any_of(states, [&](auto state) {
            return state.first != operand.getOperandNumber() &&
                   state.second == argument.getArgNumber();
          });
        return llvm::any_of(places, [&](const SetVector<Value> &other) {
          return other.contains(value) && !other.contains(result);
        });
      });
    }
  }

  /// The value that was changed, operation after operation, into `value`.
  static Value findOrigin(Value value) {
    while (auto result = dyn_cast<OpResult>(value)) {
      OpOperand *changed = getChanged(result);
      if (!changed)
        break;
      value = changed->get();
    }
    return value;
  }

  static void copyShared(OpOperand &result,
                         function_ref<bool(Value)> isShared) {
    OpOperand *change = &result;
    Value value = result.get();
    // These two are repeated for each reader.
    while (!value.getDefiningOp<tensor::EmptyOp>() &&
           !value.getDefiningOp<linalg::FillOp>()) {
      if (isShared(value))
        return startFromCopy(*change);
      Operation *op = value.getDefiningOp();
      if (!op)
        return;
      if (OpOperand *changed = getChanged(cast<OpResult>(value))) {
        change = changed;
        value = changed->get();
      } else if (isa<tensor::CastOp, tensor::CollapseShapeOp,
                     tensor::ExpandShapeOp>(op)) {
        value = op->getOperand(0);
      } else if (auto branches = dyn_cast<scf::IfOp>(op)) {
        unsigned number = cast<OpResult>(value).getResultNumber();
        for (Region &branch : branches->getRegions())
          copyShared(branch.front().getTerminator()->getOpOperand(number),
                     isShared);
        return;
      } else {
        return;
      }
    }
  }

  static void startFromCopy(OpOperand &operand) {
    OpBuilder b(operand.getOwner());
    Location loc = operand.getOwner()->getLoc();
    auto type = cast<RankedTensorType>(operand.get().getType());
    Value empty = tensor::EmptyOp::create(
        b, loc, tensor::getMixedSizes(b, loc, operand.get()),
        type.getElementType(), type.getEncoding());
    operand.set(
        linalg::CopyOp::create(b, loc, operand.get(), empty).getResult(0));
  }

  /// Lets all that reads the argument `from` read the result's buffer instead,
  /// into which it is copied unless the caller has given one buffer as both.
  static void bindState(BlockArgument from, BlockArgument to,
                        bufferization::ToTensorOp value) {
    OpBuilder b(value);
    Location loc = value.getLoc();
    Value source = memref::ExtractAlignedPointerAsIndexOp::create(b, loc, from);
    Value target = memref::ExtractAlignedPointerAsIndexOp::create(b, loc, to);
    Value apart =
        arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ne, source, target);
    auto branch = scf::IfOp::create(b, loc, apart, /*withElseRegion=*/false);
    auto inside = branch.getThenBodyBuilder();
    linalg::CopyOp::create(inside, loc, from, to);
    auto state = bufferization::ToTensorOp::create(b, loc, value.getType(), to,
                                                   /*restrict=*/true,
                                                   /*writable=*/true);
    // Sizes go on coming from the argument, whose ranges are known.
    value.getResult().replaceUsesWithIf(state, [](OpOperand &use) {
      return !isa<tensor::DimOp>(use.getOwner());
    });
  }

  /// Writes what callers must know into `tamis.interface`, since signatures
  /// stop being tensors here.
  LogicalResult describe(ModuleOp module, func::FuncOp main) {
    FailureOr<ModelInterface> interface = ModelInterface::fromMain(module);
    if (failed(interface))
      return failure();
    for (auto [i, tensor] : llvm::enumerate(interface->inputs)) {
      auto ranges = main.getArgAttrOfType<ArrayAttr>(i, "tamis.dim_ranges");
      for (auto [d, dim] : llvm::enumerate(tensor.dims))
        if (auto range = ranges && d < ranges.size()
                             ? dyn_cast<DenseI64ArrayAttr>(ranges[d])
                             : DenseI64ArrayAttr();
            range && range.size() == 2 && !dim.isStatic())
          interface->ranges[dim.symbol] = {range[0], range[1]};
    }
    // "?" means "only the data decides": the others follow from the inputs.
    for (auto [i, tensor] : llvm::enumerate(interface->outputs)) {
      bool unbounded = main.getResultAttr(i, "tamis.unbounded") != nullptr;
      for (auto [d, dim] : llvm::enumerate(tensor.dims))
        if (!dim.isStatic() && unbounded)
          dim.symbol = "?";
        else if (!dim.isStatic() && dim.symbol == "?")
          dim.symbol = tensor.name + ":" + std::to_string(d);
    }
    for (auto [result, argument] : states)
      interface->outputs[result].state = interface->inputs[argument].name;
    if (TargetAttr target = getTarget(module))
      interface->threads = target.getThreads();
    interface->attach(module);
    return success();
  }

  void bindResults(func::FuncOp main, Block &entry) {
    auto ret = cast<func::ReturnOp>(entry.getTerminator());
    OpBuilder b(ret);
    SmallVector<std::pair<unsigned, DictionaryAttr>> results;
    for (auto [i, result] : llvm::enumerate(ret.getOperands())) {
      if (main.getResultAttr(i, "tamis.unbounded")) {
        // Any layout: a cast of a slice to dense rows would be wrong.
        Value buffer = bufferization::ToBufferOp::create(
            b, ret.getLoc(),
            bufferization::getMemRefTypeWithFullyDynamicLayout(
                cast<RankedTensorType>(result.getType())),
            result, /*read_only=*/true);
        kernel::StoreOutputOp::create(b, ret.getLoc(), buffer, i);
        continue;
      }
      BlockArgument target =
          entry.addArgument(getBufferType(result.getType()), main.getLoc());
      if (auto state = states.find(i); state != states.end()) {
        BlockArgument source = entry.getArgument(state->second);
        for (Operation *user : source.getUsers())
          if (auto value = dyn_cast<bufferization::ToTensorOp>(user)) {
            bindState(source, target, value);
            break;
          }
        result = ret.getOperand(i);
      }
      results.push_back({entry.getNumArguments() - 1,
                         b.getDictionaryAttr(b.getNamedAttr(
                             "tamis.output", b.getI64IntegerAttr(i)))});
      bufferization::MaterializeInDestinationOp::create(
          b, ret.getLoc(), Type(), result, target, /*restrict=*/true,
          /*writable=*/true);
    }
    func::ReturnOp::create(b, ret.getLoc());
    ret.erase();
    SmallVector<DictionaryAttr> attributes;
    main.getAllArgAttrs(attributes);
    attributes.resize(entry.getNumArguments(), b.getDictionaryAttr({}));
    for (auto [position, dictionary] : results)
      attributes[position] = dictionary;
    main.setFunctionType(
        b.getFunctionType(entry.getArgumentTypes(), main.getResultTypes()));
    main.setAllArgAttrs(attributes);
  }

  LogicalResult bindParameters(func::FuncOp main, Value weights) {
    FailureOr<ParameterLayout> layout = ParameterLayout::get(getOperation());
    if (failed(layout))
      return failure();
    SmallVector<ml_program::GlobalLoadConstOp> loads;
    getOperation().walk(
        [&](ml_program::GlobalLoadConstOp load) { loads.push_back(load); });
    OpBuilder b(&main.getBody().front(), main.getBody().front().begin());
    llvm::StringMap<Value> views;
    for (ml_program::GlobalLoadConstOp load : loads) {
      if (load->getParentOfType<func::FuncOp>() != main)
        return load.emitError("only @main may load parameters");
      StringRef name = load.getGlobal().getLeafReference();
      Value &view = views[name];
      if (!view) {
        std::optional<int64_t> offset = layout->getOffset(name);
        if (!offset)
          return load.emitError("parameter @") << name << " has no value";
        Value at = arith::ConstantIndexOp::create(b, load.getLoc(), *offset);
        Value memory = memref::ViewOp::create(b, load.getLoc(),
                                              getBufferType(load.getType()),
                                              weights, at, ValueRange{});
        view = bufferization::ToTensorOp::create(b, load.getLoc(),
                                                 load.getType(), memory,
                                                 /*restrict=*/true);
      }
      load.replaceAllUsesWith(view);
      load.erase();
    }
    return success();
  }

  /// By result, the argument it continues.
  std::map<unsigned, unsigned> states;
};

} // namespace
} // namespace mlir::tamis
