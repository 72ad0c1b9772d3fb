// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Which channels of which tensors and parameters can only go together. Every
// index of every axis of every value is an element of a union-find structure;
// operations tie elements (PrunableOpInterface), and what is left tied to
// nothing fixed is a unit that may be removed. A residual addition, a
// concatenation's offsets, a depthwise convolution or heads of an attention
// need no case of their own. After DepGraph (Fang et al. 2023), on indices
// instead of layers.
#ifndef TAMIS_COMPRESS_CHANNELGROUPS_H
#define TAMIS_COMPRESS_CHANNELGROUPS_H

#include "tamis/IR/Tamis.h"
#include "llvm/ADT/DenseMap.h"
#include <string>
#include <vector>

namespace mlir::tamis {

/// Collects which elements go together.
class ChannelTies {
public:
  /// Ties `count` elements of `axis` of `a`, from `at` on, to those of `b`.
  void tieRange(Value a, int64_t axisA, int64_t at, Value b, int64_t axisB,
                int64_t from, int64_t count);
  /// Ties two axes of one extent; fixes both if extents differ or are open.
  void tie(Value a, int64_t axisA, Value b, int64_t axisB);
  /// Keeps elements; `why` completes "tied to …".
  void fixRange(Value value, int64_t axis, int64_t at, int64_t count,
                const Twine &why);
  void fix(Value value, int64_t axis, const Twine &why);
  /// Fixes all axes of a tensor; other values have none.
  void fix(Value value, const Twine &why);
  /// Says that axis `wide` of `merged` holds the `axes` of `split`, the last
  /// one fastest. One of them is what can be removed, in whole slices; if
  /// `isFree` is false, none.
  void merge(Value merged, int64_t wide, Value split, ArrayRef<int64_t> axes,
             bool isFree);
  /// Ties the axes of values that are read or written through maps of one
  /// iteration space; what is no plain dimension is fixed, and so are the axes
  /// of `fixedDims`.
  void tieByMaps(ArrayRef<std::pair<Value, AffineMap>> accesses,
                 const llvm::SmallBitVector &fixedDims, const Twine &why);

private:
  friend class ChannelGroups;
  struct Merge {
    Value merged, split;
    int64_t wide;
    SmallVector<int64_t> axes;
    bool isFree;
  };

  /// The first element of an axis. An open axis, or a huge one, has one element
  /// for all, which is fixed.
  int64_t getBase(Value value, int64_t axis);
  /// The extent in elements; kDynamic for an axis with one element for all.
  static int64_t getExtent(Value value, int64_t axis);
  int64_t find(int64_t element);
  void unite(int64_t a, int64_t b);
  void fixElement(int64_t element, const Twine &why);
  bool isFixed(Value value, int64_t axis);
  void resolveMerges();

  llvm::DenseMap<std::pair<Value, int64_t>, int64_t> bases;
  std::vector<int32_t> parents;
  /// Why the class of a representative is fixed: an index into `reasons`, or 0.
  std::vector<int32_t> fixed;
  std::vector<std::string> reasons = {""};
  std::vector<Merge> merges;
};

/// The units of a module and what each removes.
class ChannelGroups {
public:
  explicit ChannelGroups(ModuleOp module);

  /// Units that lie on the same axes of the same parameters. They are alike,
  /// so it makes sense to rank them.
  struct Group {
    SmallVector<int64_t> units;
    /// The parameters that shrink, and along which axes.
    SmallVector<std::pair<ObserveOp, int64_t>> parameters;
  };

  ArrayRef<Group> getGroups() const { return groups; }
  int64_t getUnitCount() const { return unitCount; }
  /// Every observation, in the order of the program.
  ArrayRef<ObserveOp> getObservations() const { return observations; }
  /// The unit that an index of an axis belongs to; -1 if it has to stay.
  int64_t getUnit(Value value, int64_t axis, int64_t index) const;
  /// Whether one of `of` is an index of an axis of `value`.
  bool hasUnitOf(Value value, const DenseSet<int64_t> &of) const;
  /// Units that can take each other's places: of each group those that are one
  /// index of the same axes of the same values, so that nothing tells them
  /// apart but the parameters.
  std::vector<Group> findExchangeable() const;
  /// What keeps an index of an axis, empty if nothing does.
  std::string getReason(Value value, int64_t axis, int64_t index) const;

private:
  int64_t findElement(Value value, int64_t axis, int64_t index) const;

  mutable ChannelTies ties;
  std::vector<Group> groups;
  SmallVector<ObserveOp> observations;
  llvm::DenseMap<int64_t, int64_t> units;
  int64_t unitCount = 0;
};

/// Attaches the interface to operations of other dialects.
void registerPrunableModels(DialectRegistry &registry);

} // namespace mlir::tamis

#include "tamis/Compress/PrunableOpInterface.h.inc"

#endif // TAMIS_COMPRESS_CHANNELGROUPS_H
