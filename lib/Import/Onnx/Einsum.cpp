// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Einsum: operands are contracted pairwise from the left. Labels of one
// operand that nobody else needs are summed first, so each pair is one
// tamis.contract (or an elementwise product where nothing is summed).
#include "Arithmetic.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "llvm/ADT/StringExtras.h"

namespace mlir::tamis::onnx {

namespace {

/// A tensor with one label per dimension: letters, and '0' + i for the
/// dimensions of the ellipsis counted from the last.
struct Labelled {
  Value value;
  std::string labels;
};

/// Expands "..." in `term` to `count` labels.
std::string expandEllipsis(StringRef term, int64_t count) {
  auto [before, after] = term.split("...");
  if (!term.contains("..."))
    return term.str();
  std::string labels = before.str();
  for (int64_t i = count - 1; i >= 0; --i)
    labels += static_cast<char>('0' + i);
  return labels + after.str();
}

LogicalResult checkTerm(Importer &im, const Node &node, StringRef term) {
  std::string letters = term.str();
  if (size_t at = letters.find("..."); at != std::string::npos)
    letters.erase(at, 3);
  if (llvm::all_of(letters, [](char c) { return llvm::isAlpha(c); }))
    return success();
  return im.error(node) << "malformed term '" << term << "' in the equation";
}

/// Keeps the diagonal of labels that occur twice.
FailureOr<Labelled> takeDiagonals(Importer &im, const Node &node, Labelled x) {
  std::string kept;
  Sizes sizes;
  for (auto [i, label] : llvm::enumerate(x.labels)) {
    size_t seen = kept.find(label);
    if (seen == std::string::npos) {
      kept += label;
      sizes.push_back(im.dim(x.value, i));
    } else if (failed(im.requireEqual(node, im.dim(x.value, i), sizes[seen],
                                      "a repeated dimension"))) {
      return failure();
    }
  }
  if (kept.size() == x.labels.size())
    return x;
  Value diagonal =
      im.gatherLike(x.value, sizes, [&](ImplicitLocOpBuilder &, ValueRange at) {
        SmallVector<Value> index;
        for (char label : x.labels)
          index.push_back(at[kept.find(label)]);
        return index;
      });
  return Labelled{diagonal, kept};
}

/// Sums over the labels that are not in `needed`.
Labelled sumOthers(Importer &im, Labelled x, StringRef needed) {
  SmallVector<int64_t> axes;
  std::string kept;
  for (auto [i, label] : llvm::enumerate(x.labels))
    if (needed.contains(label))
      kept += label;
    else
      axes.push_back(i);
  if (axes.empty())
    return x;
  Type element = elementOf(x.value);
  Type type = isa<FloatType>(element) ? computeType(element) : element;
  Value total = im.reduce(
      x.value, axes, /*keepDims=*/false, im.constant(type, 0),
      [&](ImplicitLocOpBuilder &b, Value acc, Value value) -> Value {
        if (isa<IntegerType>(type))
          return arith::AddIOp::create(b, acc, value);
        return arith::AddFOp::create(b, acc, castScalar(b, value, type));
      });
  return {convert(im, total, element), kept};
}

/// Drops dimensions of one element that the other operand knows better.
Labelled dropUnits(Importer &im, Labelled x, const Labelled &other) {
  SmallVector<int64_t> drop;
  std::string kept;
  for (auto [i, label] : llvm::enumerate(x.labels)) {
    size_t at = other.labels.find(label);
    bool unit = ShapeMath::constant(im.dim(x.value, i)) == 1;
    if (unit && at != std::string::npos &&
        ShapeMath::constant(im.dim(other.value, at)) != 1)
      drop.push_back(i);
    else
      kept += label;
  }
  return drop.empty() ? x : Labelled{im.dropDims(x.value, drop), kept};
}

/// The product of both, summed over labels not in `needed`.
FailureOr<Labelled> multiply(Importer &im, const Node &node, Labelled a,
                             Labelled b, StringRef needed) {
  a = dropUnits(im, a, b);
  b = dropUnits(im, b, a);
  a = sumOthers(im, a, b.labels + needed.str());
  b = sumOthers(im, b, a.labels + needed.str());
  std::string all = a.labels;
  Sizes allSizes = im.dims(a.value);
  for (auto [i, label] : llvm::enumerate(b.labels)) {
    size_t at = all.find(label);
    if (at == std::string::npos) {
      all += label;
      allSizes.push_back(im.dim(b.value, i));
    } else if (failed(
                   im.requireEqual(node, im.dim(b.value, i), allSizes[at],
                                   "the dimension '" + Twine(label) + "'"))) {
      return failure();
    }
  }
  // Shared outer dimensions first, then those of a, then those of b.
  std::string out;
  for (int pass = 0; pass < 2; ++pass)
    for (char label : all)
      if (needed.contains(label) &&
          (pass == 0) == (a.labels.find(label) != std::string::npos &&
                          b.labels.find(label) != std::string::npos))
        out += label;
  auto exprs = [&](StringRef labels) {
    SmallVector<AffineExpr> result;
    for (char label : labels)
      result.push_back(im.b.getAffineDimExpr(
          out.find(label) != std::string::npos
              ? out.find(label)
              : out.size() +
                    std::count_if(all.begin(), all.begin() + all.find(label),
                                  [&](char c) {
                                    return out.find(c) == std::string::npos;
                                  })));
    return result;
  };
  Sizes sizes;
  for (char label : out)
    sizes.push_back(allSizes[all.find(label)]);
  Type element = elementOf(a.value);
  if (out.size() == all.size()) {
    MLIRContext *context = im.b.getContext();
    unsigned rank = out.size();
    Value product =
        generic(im, {a.value, b.value},
                {AffineMap::get(rank, 0, exprs(a.labels), context),
                 AffineMap::get(rank, 0, exprs(b.labels), context)},
                sizes, element,
                [&](ImplicitLocOpBuilder &inner, ValueRange args) -> Value {
                  if (isa<FloatType>(element))
                    return arith::MulFOp::create(inner, args[0], args[1]);
                  return arith::MulIOp::create(inner, args[0], args[1]);
                });
    return Labelled{product, out};
  }
  Contraction c;
  c.dims = all.size();
  c.lhs = {a.value};
  c.rhs = {b.value};
  c.lhsExprs = exprs(a.labels);
  c.rhsExprs = exprs(b.labels);
  c.outExprs = exprs(out);
  Value product = contract(im, node, c, sizes);
  Type narrow = element;
  return Labelled{
      isa<FloatType>(narrow)
          ? convert(im, product, narrow)
          : unary(im, product, narrow,
                  [&](ImplicitLocOpBuilder &inner, ValueRange args) -> Value {
                    return castScalar(inner, args[0], narrow);
                  }),
      out};
}

LogicalResult importEinsum(Importer &im, const Node &node) {
  std::string equation;
  for (char c : im.getString(node, "equation", ""))
    if (c != ' ')
      equation += c;
  auto [left, right] = StringRef(equation).split("->");
  bool isExplicit = StringRef(equation).contains("->");
  SmallVector<StringRef> terms;
  left.split(terms, ',');
  if (terms.size() != node.inputs.size())
    return im.error(node) << "expected " << terms.size()
                          << " inputs for the equation, got "
                          << node.inputs.size();
  DType dtype = im.in(node, 0).dtype;
  SmallVector<Labelled> operands;
  int64_t ellipsis = 0;
  for (auto [i, term] : llvm::enumerate(terms)) {
    if (failed(checkTerm(im, node, term)))
      return failure();
    if (im.in(node, i).dtype != dtype)
      return im.error(node)
             << "expected operands of one type, got " << dtypeName(dtype)
             << " and " << dtypeName(im.in(node, i).dtype);
    Value value = im.tensor(node, i);
    bool open = term.contains("...");
    int64_t named = term.size() - (open ? 3 : 0);
    int64_t extra = rankOf(value) - named;
    if (extra < 0 || (!open && extra != 0) || extra > 10)
      return im.error(node)
             << "term '" << term << "' does not fit rank " << rankOf(value);
    ellipsis = std::max(ellipsis, open ? extra : 0);
    auto x = takeDiagonals(im, node, {value, expandEllipsis(term, extra)});
    if (failed(x))
      return failure();
    operands.push_back(*x);
  }
  std::string out;
  if (isExplicit) {
    if (failed(checkTerm(im, node, right)))
      return failure();
    out = expandEllipsis(right, ellipsis);
  } else {
    // The ellipsis, then every letter that occurs once, in order.
    out = expandEllipsis("...", ellipsis);
    for (char c = 'A'; c <= 'z'; ++c)
      if (llvm::isAlpha(c) && left.count(c) == 1)
        out += c;
  }
  for (auto [i, label] : llvm::enumerate(out)) {
    if (out.find(label) != i)
      return im.error(node) << "the result names a label twice";
    if (llvm::none_of(operands, [&](const Labelled &x) {
          return x.labels.find(label) != std::string::npos;
        }))
      return im.error(node) << "the result has a label that no operand has";
  }
  Labelled result = operands[0];
  for (size_t i = 1; i < operands.size(); ++i) {
    std::string needed = out;
    for (size_t later = i + 1; later < operands.size(); ++later)
      needed += operands[later].labels;
    auto product = multiply(im, node, result, operands[i], needed);
    if (failed(product))
      return failure();
    result = *product;
  }
  result = sumOthers(im, result, out);
  if (result.labels.size() != out.size())
    return im.error(node) << "broadcasting of a named dimension is not "
                             "supported";
  SmallVector<int64_t> permutation;
  for (char label : out)
    permutation.push_back(result.labels.find(label));
  if (!llvm::is_sorted(permutation))
    result.value = im.transpose(result.value, permutation);
  return im.out(node, 0, result.value, dtype);
}

} // namespace

void registerEinsum(OpTable &table) {
  table.add({"", "Einsum", 12, {1, -1}, importEinsum});
}

} // namespace mlir::tamis::onnx
