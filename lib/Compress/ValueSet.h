// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Number systems other than integers: the values that codes stand for, in units
// of a scale. One class each; nothing else knows which there are.
#ifndef TAMIS_LIB_COMPRESS_VALUESET_H
#define TAMIS_LIB_COMPRESS_VALUESET_H

#include "tamis/IR/Tamis.h"
#include <memory>
#include <vector>

namespace mlir::tamis {

/// The values of one number system for one tensor. Zero is among them if the
/// tensor has zeros.
class ValueSet {
public:
  virtual ~ValueSet() = default;

  /// The scale of a group of finite values that are not all zero.
  virtual float chooseScale(ArrayRef<float> group) const = 0;
  /// Chooses the values; a system that has them fixed does nothing. `units` are
  /// the tensor's elements divided by their scales, in whose units an error of
  /// element i counts `importance[i]` times.
  virtual void fit(ArrayRef<float> units, ArrayRef<float> importance) {}

  /// The code of the value nearest to `unit`.
  virtual uint16_t toCode(float unit) const = 0;
  virtual float toValue(uint16_t code) const = 0;

  /// The element type of codes in the IR.
  virtual Type getCodeType(MLIRContext *context) const;
  /// The value of each code; empty where the type of codes says it.
  virtual ArrayRef<float> getCodebook() const { return {}; }
  /// The name of ONNX's element type for codes kept in i8; empty if it has none
  /// and takes indices of the codebook.
  virtual StringRef getFormat() const { return ""; }
};

/// Values that are listed, nearest ones found by bisection.
class ListedValues : public ValueSet {
public:
  /// Of two as near, the even code.
  uint16_t toCode(float unit) const override;
  float toValue(uint16_t code) const override { return byCode[code]; }
  ArrayRef<float> getCodebook() const override { return byCode; }

protected:
  /// `values` by code; of equal ones (zeros of both signs) the first is used,
  /// those that are not finite are not.
  void setValues(std::vector<float> values);

private:
  std::vector<float> byCode;
  std::vector<std::pair<float, uint16_t>> ascending;
};

/// At most 2 to the `bits` values, the centres of the least squared error that
/// Lloyd's algorithm finds from evenly spaced ones and from k-means++ (Arthur
/// and Vassilvitskii, SODA 2007) with `seed`; as many weights as there are
/// values are kept exactly. Weights that share few values are Han et al., "Deep
/// Compression", ICLR 2016. Without a scale (`hasScale` false) it is one.
std::unique_ptr<ValueSet> makeCodebook(int64_t bits, bool hasScale,
                                       uint64_t seed);

/// The values of a scheme that has no integers.
std::unique_ptr<ValueSet> makeValueSet(SchemeAttr scheme, uint64_t seed);

} // namespace mlir::tamis

#endif // TAMIS_LIB_COMPRESS_VALUESET_H
