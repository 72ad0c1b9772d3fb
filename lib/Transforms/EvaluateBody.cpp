// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A small interpreter for scalar bodies. Values live in lanes of double and
// int64: a double holds every narrower float, and +, -, *, / computed in double
// and rounded once to float or half are the correctly rounded results.
#include "EvaluateBody.h"
#include "EvaluateMath.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Matchers.h"
#include "tamis/Transforms/ConstantTensor.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/MathExtras.h"
#include <cmath>
#include <cstring>

using namespace mlir;
using namespace mlir::tamis;

/// Elements evaluated per operation before the next operation.
static constexpr int64_t kLanes = 512;

namespace {
/// The values of one SSA value in the current batch.
struct Lanes {
  std::vector<double> f = std::vector<double>(kLanes);
  std::vector<int64_t> i = std::vector<int64_t>(kLanes);
};
} // namespace

static double decodeFloat(Type type, const char *bytes) {
  if (type.isF64()) {
    double value;
    std::memcpy(&value, bytes, 8);
    return value;
  }
  if (type.isF32()) {
    float value;
    std::memcpy(&value, bytes, 4);
    return value;
  }
  uint16_t raw;
  std::memcpy(&raw, bytes, 2);
  if (type.isBF16())
    return llvm::bit_cast<float>(uint32_t(raw) << 16);
  return static_cast<double>(llvm::bit_cast<_Float16>(raw));
}

/// Rounds `value` to what `type` can hold.
static double roundTo(Type type, double value) {
  if (type.isF64())
    return value;
  if (type.isF32())
    return static_cast<float>(value);
  if (type.isF16())
    return static_cast<double>(static_cast<_Float16>(value));
  // Weights by the million: where float holds the value, the upper half of its
  // bits is rounded. Else rounding twice could differ from rounding once.
  float narrow = static_cast<float>(value);
  if (static_cast<double>(narrow) == value) {
    uint32_t raw = llvm::bit_cast<uint32_t>(narrow);
    raw += 0x7fff + (raw >> 16 & 1);
    return llvm::bit_cast<float>(raw & 0xffff0000);
  }
  llvm::APFloat exact(value);
  bool loses;
  exact.convert(llvm::APFloat::BFloat(), llvm::APFloat::rmNearestTiesToEven,
                &loses);
  exact.convert(llvm::APFloat::IEEEdouble(), llvm::APFloat::rmNearestTiesToEven,
                &loses);
  return exact.convertToDouble();
}

static void encodeFloat(Type type, double value, char *bytes) {
  if (type.isF64()) {
    std::memcpy(bytes, &value, 8);
  } else if (type.isF32()) {
    float narrow = static_cast<float>(value);
    std::memcpy(bytes, &narrow, 4);
  } else if (type.isBF16()) {
    uint32_t raw = llvm::bit_cast<uint32_t>(static_cast<float>(value));
    uint16_t high = raw >> 16;
    std::memcpy(bytes, &high, 2);
  } else {
    uint16_t raw = llvm::bit_cast<uint16_t>(static_cast<_Float16>(value));
    std::memcpy(bytes, &raw, 2);
  }
}

/// Integers are kept sign-extended from their width.
static int64_t wrap(unsigned width, int64_t value) {
  return width >= 64 ? value : llvm::SignExtend64(value, width);
}

static uint64_t asUnsigned(unsigned width, int64_t value) {
  return width >= 64 ? value : value & llvm::maskTrailingOnes<uint64_t>(width);
}

static unsigned getWidth(Type type) {
  return type.isIndex() ? 64 : type.getIntOrFloatBitWidth();
}

static bool isSupported(Type type) {
  return type.isF64() || type.isF32() || type.isF16() || type.isBF16() ||
         type.isIndex() || (type.isSignlessInteger() && getWidth(type) <= 64);
}

bool tamis::canEvaluateBody(linalg::GenericOp op) {
  for (Operation &inner : op.getBody()->without_terminator()) {
    if (!isa<arith::ConstantOp, arith::AddFOp, arith::SubFOp, arith::MulFOp,
             arith::DivFOp, arith::NegFOp, arith::MaxNumFOp, arith::MinNumFOp,
             arith::MaximumFOp, arith::MinimumFOp, arith::AddIOp, arith::SubIOp,
             arith::MulIOp, arith::AndIOp, arith::OrIOp, arith::XOrIOp,
             arith::ShLIOp, arith::ShRSIOp, arith::ShRUIOp, arith::ExtFOp,
             arith::TruncFOp, arith::ExtSIOp, arith::ExtUIOp, arith::TruncIOp,
             arith::SIToFPOp, arith::UIToFPOp, arith::FPToSIOp, arith::FPToUIOp,
             arith::IndexCastOp, arith::SelectOp, arith::MaxSIOp,
             arith::MinSIOp, arith::CmpIOp, arith::CmpFOp, arith::BitcastOp,
             tensor::ExtractOp>(inner) &&
        !getScalarFunction(&inner))
      return false;
    for (Type type : inner.getResultTypes())
      if (!isSupported(type))
        return false;
  }
  for (BlockArgument argument : op.getBody()->getArguments())
    if (!isSupported(argument.getType()))
      return false;
  return true;
}

/// Reads the element at `bytes` into the lane of its kind.
static void loadElement(Type type, const char *bytes, double &real,
                        int64_t &integer) {
  if (isa<FloatType>(type)) {
    real = decodeFloat(type, bytes);
    return;
  }
  int64_t raw = 0;
  std::memcpy(&raw, bytes, getElementBytes(type));
  integer = wrap(getWidth(type), raw);
}

static void storeElement(Type type, double real, int64_t integer, char *bytes) {
  if (isa<FloatType>(type))
    return encodeFloat(type, real, bytes);
  int64_t raw = asUnsigned(getWidth(type), integer);
  std::memcpy(bytes, &raw, getElementBytes(type));
}

/// Reads `n` elements, `stride` bytes apart, into the lanes from `first` on.
static void loadElements(Type type, const char *bytes, int64_t stride,
                         int64_t n, int64_t first, Lanes &lanes) {
  if (type.isInteger(8)) { // weights, by the million
    for (int64_t k = 0; k < n; ++k)
      lanes.i[first + k] = static_cast<int8_t>(bytes[k * stride]);
    return;
  }
  for (int64_t k = 0; k < n; ++k)
    loadElement(type, bytes + k * stride, lanes.f[first + k],
                lanes.i[first + k]);
}

/// Writes the first `n` lanes one after another.
static void storeElements(Type type, const Lanes &lanes, int64_t n,
                          char *bytes) {
  if (type.isInteger(8)) {
    for (int64_t k = 0; k < n; ++k)
      bytes[k] = static_cast<char>(lanes.i[k]);
    return;
  }
  int64_t size = getElementBytes(type);
  for (int64_t k = 0; k < n; ++k)
    storeElement(type, lanes.f[k], lanes.i[k], bytes + k * size);
}

/// Picks an element of `table` in each of `n` lanes.
static LogicalResult pickElements(const ConstantTensor &table, int64_t n,
                                  ArrayRef<const Lanes *> indices, Lanes &out) {
  Type type = table.type.getElementType();
  SmallVector<int64_t> strides = table.getStrides();
  for (int64_t k = 0; k < n; ++k) {
    int64_t offset = 0;
    for (auto [index, stride, size] :
         llvm::zip_equal(indices, strides, table.type.getShape())) {
      if (index->i[k] < 0 || index->i[k] >= size)
        return failure();
      offset += index->i[k] * stride;
    }
    loadElement(type, table.bytes.data() + offset, out.f[k], out.i[k]);
  }
  return success();
}

/// The larger number; NaN beside NaN, zero beside minus zero.
static double maximum(double x, double y) {
  if (std::isnan(x) || std::isnan(y))
    return x + y;
  if (x == y)
    return std::signbit(x) ? y : x;
  return std::max(x, y);
}

/// Evaluates one operation on `n` lanes.
static LogicalResult evaluate(Operation *op, int64_t n,
                              ArrayRef<const Lanes *> in, Lanes &out) {
  Type type = op->getResult(0).getType();
  Type from = op->getNumOperands() ? op->getOperand(0).getType() : type;
  unsigned width = isa<FloatType>(type) ? 0 : getWidth(type);
  unsigned fromWidth = isa<FloatType>(from) ? 0 : getWidth(from);
  auto floats = [&](auto compute) {
    for (int64_t k = 0; k < n; ++k)
      out.f[k] = roundTo(type, compute(k));
    return success();
  };
  auto integers = [&](auto compute) {
    for (int64_t k = 0; k < n; ++k)
      out.i[k] = wrap(width, compute(k));
    return success();
  };
  auto f = [&](unsigned operand, int64_t k) { return in[operand]->f[k]; };
  auto i = [&](unsigned operand, int64_t k) { return in[operand]->i[k]; };
  auto u = [&](unsigned operand, int64_t k) {
    return asUnsigned(fromWidth, in[operand]->i[k]);
  };
  auto shift = [&](auto compute) {
    for (int64_t k = 0; k < n; ++k)
      if (u(1, k) >= width)
        return failure();
    return integers(compute);
  };
  auto toInteger = [&](double low, double high) {
    for (int64_t k = 0; k < n; ++k) {
      double value = std::trunc(f(0, k));
      if (!(value >= low && value <= high))
        return failure();
      out.i[k] =
          wrap(width, value < 0
                          ? static_cast<int64_t>(value)
                          : static_cast<int64_t>(static_cast<uint64_t>(value)));
    }
    return success();
  };
  if (ScalarFunction function = getScalarFunction(op)) {
    bool isBinary = op->getNumOperands() == 2;
    return floats(
        [&](int64_t k) { return function(f(0, k), isBinary ? f(1, k) : 0.0); });
  }
  return llvm::TypeSwitch<Operation *, LogicalResult>(op)
      .Case([&](arith::AddFOp) {
        return floats([&](int64_t k) { return f(0, k) + f(1, k); });
      })
      .Case([&](arith::SubFOp) {
        return floats([&](int64_t k) { return f(0, k) - f(1, k); });
      })
      .Case([&](arith::MulFOp) {
        return floats([&](int64_t k) { return f(0, k) * f(1, k); });
      })
      .Case([&](arith::DivFOp) {
        return floats([&](int64_t k) { return f(0, k) / f(1, k); });
      })
      .Case([&](arith::NegFOp) {
        return floats([&](int64_t k) { return -f(0, k); });
      })
      .Case([&](arith::MaxNumFOp) {
        return floats([&](int64_t k) { return std::fmax(f(0, k), f(1, k)); });
      })
      .Case([&](arith::MinNumFOp) {
        return floats([&](int64_t k) { return std::fmin(f(0, k), f(1, k)); });
      })
      .Case([&](arith::MaximumFOp) {
        return floats([&](int64_t k) { return maximum(f(0, k), f(1, k)); });
      })
      .Case([&](arith::MinimumFOp) {
        return floats([&](int64_t k) { return -maximum(-f(0, k), -f(1, k)); });
      })
      .Case<arith::ExtFOp, arith::TruncFOp>(
          [&](auto) { return floats([&](int64_t k) { return f(0, k); }); })
      .Case([&](arith::SIToFPOp) {
        return floats([&](int64_t k) -> double {
          // Not through double: that would round a long integer twice.
          return type.isF32() ? static_cast<float>(i(0, k)) : double(i(0, k));
        });
      })
      .Case([&](arith::UIToFPOp) {
        return floats([&](int64_t k) -> double {
          return type.isF32() ? static_cast<float>(u(0, k)) : double(u(0, k));
        });
      })
      .Case([&](arith::FPToSIOp) {
        double bound = std::ldexp(1.0, width - 1);
        return toInteger(-bound, std::nextafter(bound, 0.0));
      })
      .Case([&](arith::FPToUIOp) {
        return toInteger(0.0, std::nextafter(std::ldexp(1.0, width), 0.0));
      })
      .Case([&](arith::AddIOp) {
        return integers([&](int64_t k) {
          return int64_t(uint64_t(i(0, k)) + uint64_t(i(1, k)));
        });
      })
      .Case([&](arith::SubIOp) {
        return integers([&](int64_t k) {
          return int64_t(uint64_t(i(0, k)) - uint64_t(i(1, k)));
        });
      })
      .Case([&](arith::MulIOp) {
        return integers([&](int64_t k) {
          return int64_t(uint64_t(i(0, k)) * uint64_t(i(1, k)));
        });
      })
      .Case([&](arith::AndIOp) {
        return integers([&](int64_t k) { return i(0, k) & i(1, k); });
      })
      .Case([&](arith::OrIOp) {
        return integers([&](int64_t k) { return i(0, k) | i(1, k); });
      })
      .Case([&](arith::XOrIOp) {
        return integers([&](int64_t k) { return i(0, k) ^ i(1, k); });
      })
      .Case([&](arith::MaxSIOp) {
        return integers([&](int64_t k) { return std::max(i(0, k), i(1, k)); });
      })
      .Case([&](arith::MinSIOp) {
        return integers([&](int64_t k) { return std::min(i(0, k), i(1, k)); });
      })
      .Case([&](arith::ShLIOp) {
        return shift(
            [&](int64_t k) { return int64_t(uint64_t(i(0, k)) << i(1, k)); });
      })
      .Case([&](arith::ShRSIOp) {
        return shift([&](int64_t k) { return i(0, k) >> i(1, k); });
      })
      .Case([&](arith::ShRUIOp) {
        return shift([&](int64_t k) { return int64_t(u(0, k) >> i(1, k)); });
      })
      .Case<arith::ExtSIOp, arith::TruncIOp, arith::IndexCastOp>(
          [&](auto) { return integers([&](int64_t k) { return i(0, k); }); })
      .Case([&](arith::ExtUIOp) {
        return integers([&](int64_t k) { return int64_t(u(0, k)); });
      })
      .Case([&](arith::CmpIOp op) {
        unsigned from = getWidth(op.getLhs().getType());
        return integers([&](int64_t k) -> int64_t {
          return arith::applyCmpPredicate(
              op.getPredicate(), llvm::APInt(from, asUnsigned(from, i(0, k))),
              llvm::APInt(from, asUnsigned(from, i(1, k))));
        });
      })
      .Case([&](arith::CmpFOp op) {
        return integers([&](int64_t k) -> int64_t {
          return arith::applyCmpPredicate(op.getPredicate(),
                                          llvm::APFloat(f(0, k)),
                                          llvm::APFloat(f(1, k)));
        });
      })
      .Case([&](arith::BitcastOp op) {
        Type source = op.getIn().getType();
        for (int64_t k = 0; k < n; ++k) {
          char bytes[8] = {};
          storeElement(source, f(0, k), i(0, k), bytes);
          loadElement(type, bytes, out.f[k], out.i[k]);
        }
        return success();
      })
      .Case([&](arith::SelectOp) {
        for (int64_t k = 0; k < n; ++k) {
          unsigned chosen = i(0, k) ? 1 : 2;
          out.f[k] = f(chosen, k);
          out.i[k] = i(chosen, k);
        }
        return success();
      })
      .Default([](Operation *) { return failure(); });
}

/// Fills `lanes` with the constant `attr`.
static LogicalResult fillLanes(Attribute attr, Lanes &lanes) {
  if (auto real = dyn_cast<FloatAttr>(attr)) {
    llvm::APFloat value = real.getValue();
    bool loses;
    value.convert(llvm::APFloat::IEEEdouble(),
                  llvm::APFloat::rmNearestTiesToEven, &loses);
    std::fill(lanes.f.begin(), lanes.f.end(), value.convertToDouble());
    return success();
  }
  if (auto integer = dyn_cast<IntegerAttr>(attr)) {
    std::fill(lanes.i.begin(), lanes.i.end(),
              integer.getValue().getSExtValue());
    return success();
  }
  return failure();
}

/// Calls `row` for each index of all but the innermost loop with the bytes of
/// every input there.
static LogicalResult
forEachRow(ArrayRef<int64_t> shape, ArrayRef<EvaluationInput> inputs,
           function_ref<LogicalResult(ArrayRef<const char *>)> row) {
  if (llvm::is_contained(shape, 0))
    return success();
  SmallVector<int64_t> index(shape.size(), 0);
  SmallVector<const char *> at;
  for (const EvaluationInput &input : inputs)
    at.push_back(input.bytes);
  while (true) {
    if (failed(row(at)))
      return failure();
    int64_t dim = static_cast<int64_t>(shape.size()) - 2;
    for (; dim >= 0; --dim) {
      for (auto [pointer, input] : llvm::zip_equal(at, inputs))
        pointer += input.strides[dim];
      if (++index[dim] < shape[dim])
        break;
      for (auto [pointer, input] : llvm::zip_equal(at, inputs))
        pointer -= input.strides[dim] * shape[dim];
      index[dim] = 0;
    }
    if (dim < 0)
      return success();
  }
}

LogicalResult
tamis::evaluateBody(linalg::GenericOp op, ArrayRef<int64_t> shape,
                    ArrayRef<EvaluationInput> inputs,
                    function_ref<std::optional<ConstantTensor>(Value)> read,
                    char *to) {
  Block *body = op.getBody();
  Value yielded = body->getTerminator()->getOperand(0);
  llvm::DenseMap<Value, Lanes> values;
  llvm::DenseMap<Value, ConstantTensor> tables;
  // A value from outside the body is a constant or unknown.
  auto capture = [&](Value value) -> LogicalResult {
    if (values.count(value) || value.getParentBlock() == body)
      return success();
    if (isa<TensorType>(value.getType())) {
      auto table = read(value);
      if (!table)
        return failure();
      tables.try_emplace(value, std::move(*table));
      return success();
    }
    Attribute attr;
    if (!matchPattern(value, m_Constant(&attr)))
      return failure();
    return fillLanes(attr, values[value]);
  };
  for (Operation &inner : *body)
    for (Value operand : inner.getOperands())
      if (failed(capture(operand)))
        return failure();
  for (const EvaluationInput &input : inputs)
    values[input.argument];
  for (Operation &inner : body->without_terminator()) {
    Attribute attr;
    Lanes &lanes = values[inner.getResult(0)];
    if (matchPattern(&inner, m_Constant(&attr)) &&
        failed(fillLanes(attr, lanes)))
      return failure();
  }
  if (!values.count(yielded))
    return failure();

  // From here on no value is added, so that lanes stay where they are.
  struct Step {
    Operation *op;
    SmallVector<const Lanes *> operands;
    Lanes *out;
  };
  SmallVector<Step> steps;
  for (Operation &inner : body->without_terminator()) {
    if (isa<arith::ConstantOp>(inner))
      continue;
    Step &step = steps.emplace_back();
    step.op = &inner;
    auto extract = dyn_cast<tensor::ExtractOp>(inner);
    for (Value operand : extract ? extract.getIndices() : inner.getOperands())
      step.operands.push_back(&values.find(operand)->second);
    step.out = &values.find(inner.getResult(0))->second;
  }
  SmallVector<Lanes *> arguments;
  for (const EvaluationInput &input : inputs)
    arguments.push_back(&values.find(input.argument)->second);
  const Lanes &result = values.find(yielded)->second;

  // Short rows share the lanes.
  Type type = yielded.getType();
  int64_t filled = 0;
  auto flush = [&]() -> LogicalResult {
    for (const Step &step : steps) {
      auto extract = dyn_cast<tensor::ExtractOp>(step.op);
      if (failed(extract ? pickElements(tables.at(extract.getTensor()), filled,
                                        step.operands, *step.out)
                         : evaluate(step.op, filled, step.operands, *step.out)))
        return failure();
    }
    storeElements(type, result, filled, to);
    to += filled * getElementBytes(type);
    filled = 0;
    return success();
  };
  int64_t rowSize = shape.empty() ? 1 : shape.back();
  auto addRow = [&](ArrayRef<const char *> at) -> LogicalResult {
    for (int64_t base = 0; base < rowSize;) {
      int64_t n = std::min(kLanes - filled, rowSize - base);
      for (auto [input, lanes, from] : llvm::zip_equal(inputs, arguments, at)) {
        int64_t stride = shape.empty() ? 0 : input.strides.back();
        loadElements(input.argument.getType(), from + base * stride, stride, n,
                     filled, *lanes);
      }
      base += n;
      filled += n;
      if (filled == kLanes && failed(flush()))
        return failure();
    }
    return success();
  };
  return success(succeeded(forEachRow(shape, inputs, addRow)) &&
                 succeeded(flush()));
}

/// The element at `bytes` as an attribute.
static Attribute readElement(Type type, const char *bytes) {
  if (isa<FloatType>(type))
    return FloatAttr::get(type, decodeFloat(type, bytes));
  int64_t raw = 0;
  std::memcpy(&raw, bytes, getElementBytes(type));
  return IntegerAttr::get(
      type, llvm::APInt(getWidth(type), asUnsigned(getWidth(type), raw)));
}

LogicalResult tamis::foldBody(linalg::GenericOp op, ArrayRef<int64_t> shape,
                              ArrayRef<EvaluationInput> inputs, char *to) {
  Block *body = op.getBody();
  Value yielded = body->getTerminator()->getOperand(0);
  Type type = yielded.getType();
  if (!isSupported(type) || op.hasIndexSemantics() ||
      llvm::any_of(inputs, [](const EvaluationInput &input) {
        return !isSupported(input.argument.getType());
      }))
    return failure();
  int64_t bytes = getElementBytes(type);
  int64_t rowSize = shape.empty() ? 1 : shape.back();
  llvm::DenseMap<Value, Attribute> values;
  auto lookup = [&](Value value) {
    auto found = values.find(value);
    if (found != values.end())
      return found->second;
    Attribute attr;
    matchPattern(value, m_Constant(&attr));
    return attr;
  };
  return forEachRow(shape, inputs, [&](ArrayRef<const char *> at) {
    for (int64_t k = 0; k < rowSize; ++k, to += bytes) {
      for (auto [input, pointer] : llvm::zip_equal(inputs, at))
        values[input.argument] = readElement(
            input.argument.getType(),
            pointer + (shape.empty() ? 0 : input.strides.back() * k));
      for (Operation &inner : body->without_terminator()) {
        SmallVector<Attribute> operands;
        for (Value operand : inner.getOperands())
          operands.push_back(lookup(operand));
        SmallVector<OpFoldResult> folded;
        if (inner.getNumRegions() != 0 || inner.getNumResults() != 1 ||
            failed(inner.fold(operands, folded)) || folded.size() != 1)
          return failure();
        Attribute attr = dyn_cast<Attribute>(folded[0]);
        if (!attr)
          attr = lookup(cast<Value>(folded[0]));
        if (!attr)
          return failure();
        values[inner.getResult(0)] = attr;
      }
      Attribute attr = lookup(yielded);
      if (auto real = dyn_cast_if_present<FloatAttr>(attr)) {
        encodeFloat(type, real.getValueAsDouble(), to);
      } else if (auto integer = dyn_cast_if_present<IntegerAttr>(attr)) {
        int64_t raw = integer.getValue().getZExtValue();
        std::memcpy(to, &raw, bytes);
      } else {
        return failure();
      }
    }
    return success();
  });
}
