// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Appends decisions to the module's report.
#include "tamis/Compress/Report.h"
#include "mlir/IR/Location.h"

using namespace mlir;
using namespace mlir::tamis;

Report::~Report() {
  if (entries.empty())
    return;
  SmallVector<Attribute> all;
  if (auto earlier = module->getAttrOfType<ArrayAttr>(kReportAttrName))
    all.append(earlier.begin(), earlier.end());
  all.append(entries);
  module->setAttr(kReportAttrName, b.getArrayAttr(all));
}

void Report::add(StringRef layer, StringRef tensor, StringRef decision,
                 const Twine &reason, ArrayRef<NamedAttribute> numbers) {
  SmallVector<NamedAttribute> entry = {
      text("pass", pass), text("layer", layer), text("tensor", tensor),
      text("decision", decision), text("reason", reason.str())};
  entry.append(numbers.begin(), numbers.end());
  entries.push_back(b.getDictionaryAttr(entry));
}

NodeName tamis::getNode(Operation *op) {
  // The importer writes "node 'name' (Type)" or "node of 'output' (Type)".
  NodeName node;
  op->getLoc()->walk([&](Location location) {
    auto named = dyn_cast<NameLoc>(location);
    if (!named)
      return WalkResult::advance();
    StringRef text = named.getName().getValue();
    if (!(text.consume_front("node '") || text.consume_front("node of '")))
      return WalkResult::advance();
    size_t end = text.rfind("' (");
    if (end == StringRef::npos || !text.ends_with(")"))
      return WalkResult::advance();
    node = {text.take_front(end), text.drop_front(end + 3).drop_back()};
    return WalkResult::interrupt();
  });
  return node;
}
