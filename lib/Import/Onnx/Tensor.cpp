// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Element types and element access.
#include "Files.h"
#include "llvm/ADT/APFloat.h"
#include "llvm/Support/Endian.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir::tamis::onnx;
namespace endian = llvm::support::endian;

StringRef mlir::tamis::onnx::dtypeName(DType dtype) {
  switch (dtype) {
  case DType::Undefined:
    return "undefined";
  case DType::Float:
    return "float32";
  case DType::UInt8:
    return "uint8";
  case DType::Int8:
    return "int8";
  case DType::UInt16:
    return "uint16";
  case DType::Int16:
    return "int16";
  case DType::Int32:
    return "int32";
  case DType::Int64:
    return "int64";
  case DType::String:
    return "string";
  case DType::Bool:
    return "bool";
  case DType::Float16:
    return "float16";
  case DType::Double:
    return "float64";
  case DType::UInt32:
    return "uint32";
  case DType::UInt64:
    return "uint64";
  case DType::Complex64:
    return "complex64";
  case DType::Complex128:
    return "complex128";
  case DType::BFloat16:
    return "bfloat16";
  case DType::Float8E4M3FN:
    return "float8_e4m3fn";
  case DType::Float8E4M3FNUZ:
    return "float8_e4m3fnuz";
  case DType::Float8E5M2:
    return "float8_e5m2";
  case DType::Float8E5M2FNUZ:
    return "float8_e5m2fnuz";
  case DType::UInt4:
    return "uint4";
  case DType::Int4:
    return "int4";
  case DType::Float4E2M1:
    return "float4_e2m1fn";
  case DType::Float8E8M0:
    return "float8_e8m0fnu";
  case DType::UInt2:
    return "uint2";
  case DType::Int2:
    return "int2";
  }
  return "unknown";
}

unsigned mlir::tamis::onnx::dtypeBytes(DType dtype) {
  switch (dtype) {
  case DType::UInt8:
  case DType::Int8:
  case DType::Bool:
  case DType::Float8E4M3FN:
  case DType::Float8E4M3FNUZ:
  case DType::Float8E5M2:
  case DType::Float8E5M2FNUZ:
  case DType::Float8E8M0:
  case DType::Float4E2M1:
  case DType::UInt4:
  case DType::Int4:
  case DType::UInt2:
  case DType::Int2:
    return 1;
  case DType::UInt16:
  case DType::Int16:
  case DType::Float16:
  case DType::BFloat16:
    return 2;
  case DType::Float:
  case DType::Int32:
  case DType::UInt32:
    return 4;
  case DType::Int64:
  case DType::UInt64:
  case DType::Double:
  case DType::Complex64:
    return 8;
  case DType::Complex128:
    return 16;
  case DType::Undefined:
  case DType::String:
    return 0;
  }
  return 0;
}

bool mlir::tamis::onnx::isUnsigned(DType dtype) {
  switch (dtype) {
  case DType::Bool:
  case DType::UInt2:
  case DType::UInt4:
  case DType::UInt8:
  case DType::UInt16:
  case DType::UInt32:
  case DType::UInt64:
    return true;
  default:
    return false;
  }
}

bool mlir::tamis::onnx::isInteger(DType dtype) {
  switch (dtype) {
  case DType::Int2:
  case DType::Int4:
  case DType::Int8:
  case DType::Int16:
  case DType::Int32:
  case DType::Int64:
    return true;
  default:
    return isUnsigned(dtype) && dtype != DType::Bool;
  }
}

bool mlir::tamis::onnx::isFloat(DType dtype) {
  return dtype == DType::Float || dtype == DType::Float16 ||
         dtype == DType::BFloat16 || dtype == DType::Double;
}

int64_t Tensor::elementCount() const {
  int64_t count = 1; // the reader has checked the product
  for (int64_t dim : dims)
    count *= dim;
  return count;
}

int64_t Tensor::getInt(int64_t index) const {
  const char *at = data.data() + index * dtypeBytes(dtype);
  switch (dtype) {
  case DType::Bool:
    return *at != 0;
  case DType::Int2:
  case DType::Int4:
  case DType::Int8:
    return static_cast<int8_t>(*at);
  case DType::Int16:
    return static_cast<int16_t>(endian::read16le(at));
  case DType::UInt16:
    return endian::read16le(at);
  case DType::Int32:
    return static_cast<int32_t>(endian::read32le(at));
  case DType::UInt32:
    return endian::read32le(at);
  case DType::Int64:
  case DType::UInt64:
    return static_cast<int64_t>(endian::read64le(at));
  default:
    return static_cast<uint8_t>(*at);
  }
}

double Tensor::getFloat(int64_t index) const {
  const char *at = data.data() + index * dtypeBytes(dtype);
  auto narrow = [&](const llvm::fltSemantics &semantics) {
    llvm::APFloat value(semantics, llvm::APInt(16, endian::read16le(at)));
    bool inexact;
    value.convert(llvm::APFloat::IEEEdouble(),
                  llvm::APFloat::rmNearestTiesToEven, &inexact);
    return value.convertToDouble();
  };
  switch (dtype) {
  case DType::Float:
    return llvm::bit_cast<float>(endian::read32le(at));
  case DType::Double:
    return llvm::bit_cast<double>(endian::read64le(at));
  case DType::Float16:
    return narrow(llvm::APFloat::IEEEhalf());
  case DType::BFloat16:
    return narrow(llvm::APFloat::BFloat());
  case DType::UInt64:
    return static_cast<double>(endian::read64le(at));
  default:
    return static_cast<double>(getInt(index));
  }
}

const Attribute *Node::find(StringRef attribute) const {
  for (const Attribute &candidate : attributes)
    if (candidate.name == attribute)
      return &candidate;
  return nullptr;
}

llvm::Expected<int64_t>
mlir::tamis::onnx::checkedElementCount(ArrayRef<int64_t> dims,
                                       unsigned elementBytes) {
  constexpr int64_t kMaxElements = int64_t(1) << 62;
  constexpr int64_t kMaxBytes = int64_t(1) << 40;
  int64_t count = 1;
  bool zero = false;
  for (int64_t dim : dims) {
    if (dim < 0)
      return makeError("negative dimension " + llvm::Twine(dim));
    if (dim == 0) {
      zero = true;
      continue;
    }
    if (llvm::MulOverflow(count, dim, count) || count > kMaxElements)
      return makeError("more than 2^62 elements");
  }
  int64_t bytes;
  if (llvm::MulOverflow(count, int64_t(elementBytes), bytes) ||
      bytes > kMaxBytes)
    return makeError("more than 2^40 bytes");
  return zero ? 0 : count;
}
