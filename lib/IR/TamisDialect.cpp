// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The two dialects: what belongs to them, and the attributes' methods.
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "tamis/IR/Tamis.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mlir::tamis;

#include "tamis/IR/TamisDialect.cpp.inc"
#include "tamis/IR/TamisKernelDialect.cpp.inc"

#include "tamis/IR/TamisEnums.cpp.inc"

#include "tamis/IR/TamisAttrInterfaces.cpp.inc"
#include "tamis/IR/TamisOpInterfaces.cpp.inc"

/// Sizes of a target, each left out where it has its default.
static ParseResult parseSizes(AsmParser &parser, int64_t &l1, int64_t &l2,
                              int64_t &threads) {
  l1 = 32768;
  l2 = 1048576;
  threads = 1;
  while (succeeded(parser.parseOptionalComma())) {
    StringRef name;
    SMLoc loc = parser.getCurrentLocation();
    if (parser.parseKeyword(&name) || parser.parseEqual())
      return failure();
    int64_t *size = name == "l1"        ? &l1
                    : name == "l2"      ? &l2
                    : name == "threads" ? &threads
                                        : nullptr;
    if (!size)
      return parser.emitError(loc, "expected l1, l2 or threads");
    if (parser.parseInteger(*size))
      return failure();
  }
  return success();
}

static void printSizes(AsmPrinter &printer, int64_t l1, int64_t l2,
                       int64_t threads) {
  if (l1 != 32768)
    printer << ", l1 = " << l1;
  if (l2 != 1048576)
    printer << ", l2 = " << l2;
  if (threads != 1)
    printer << ", threads = " << threads;
}

#define GET_ATTRDEF_CLASSES
#include "tamis/IR/TamisAttrs.cpp.inc"

void TamisDialect::initialize() {
  addOperations<
#define GET_OP_LIST
#include "tamis/IR/TamisOps.cpp.inc"
      >();
  addAttributes<
#define GET_ATTRDEF_LIST
#include "tamis/IR/TamisAttrs.cpp.inc"
      >();
  addBytecodeInterface();
}

void kernel::TamisKernelDialect::initialize() {
  addOperations<
#define GET_OP_LIST
#include "tamis/IR/TamisKernelOps.cpp.inc"
      >();
}

bool TargetAttr::hasFeature(StringRef feature) const {
  return llvm::any_of(getFeatures(),
                      [&](StringAttr f) { return f.getValue() == feature; });
}

std::string TargetAttr::getFeatureString() const {
  std::string text;
  for (StringAttr feature : getFeatures()) {
    if (!text.empty())
      text += ',';
    text += '+';
    text += feature.getValue();
  }
  return text;
}

//===-- verifiers of attributes -------------------------------------------===//

using EmitError = function_ref<InFlightDiagnostic()>;

LogicalResult SchemeAttr::verify(EmitError emitError, int64_t bits,
                                 bool isUnsigned, bool symmetric, int64_t axis,
                                 int64_t block, NumberSystem system,
                                 std::optional<int64_t> fraction, bool exact,
                                 bool offset) {
  auto [least, most] = getBitRange(system);
  if (bits < least || bits > most)
    return emitError() << "scheme expected " << least << " to " << most
                       << " bits"
                       << (system == NumberSystem::Integer
                               ? ""
                               : (" of " + stringifyNumberSystem(system)).str())
                       << ", got " << bits;
  if (system != NumberSystem::Integer && (isUnsigned || !symmetric))
    return emitError() << "scheme expected " << stringifyNumberSystem(system)
                       << " to be signed and symmetric";
  if (fraction && system != NumberSystem::FixedPoint)
    return emitError() << "scheme expected no fraction of "
                       << stringifyNumberSystem(system);
  if (fraction && (*fraction < -100 || *fraction > 100))
    return emitError() << "scheme expected a fraction of -100 to 100, got "
                       << *fraction;
  if (exact && system != NumberSystem::Integer)
    return emitError() << "exact scheme expected integers, got "
                       << stringifyNumberSystem(system);
  if (axis < -1)
    return emitError() << "scheme expected an axis of at least 0, got " << axis;
  if (block < 0 || (block > 0 && axis < 0))
    return emitError() << "scheme expected a positive block along an axis, got "
                       << block << " along axis " << axis;
  if (offset && (!exact || !isUnsigned || !block))
    return emitError() << "scheme with offset expected to be exact, unsigned "
                          "and in blocks";
  return success();
}

std::pair<int64_t, int64_t> tamis::getBitRange(NumberSystem system) {
  switch (system) {
  case NumberSystem::Integer:
    return {1, 16};
  case NumberSystem::FixedPoint:
    return {2, 16};
  case NumberSystem::Codebook:
    return {1, 8};
  case NumberSystem::PowerOfTwo:
    return {2, 8};
  case NumberSystem::Float8E4M3FN:
  case NumberSystem::Float8E5M2:
    return {8, 8};
  case NumberSystem::Float16:
  case NumberSystem::BFloat16:
    return {16, 16};
  }
  llvm_unreachable("a number system without bits");
}

int64_t SchemeAttr::getMin() const {
  return getIsUnsigned() ? 0 : -(int64_t(1) << (getBits() - 1));
}

int64_t SchemeAttr::getMax() const {
  return (int64_t(1) << (getIsUnsigned() ? getBits() : getBits() - 1)) - 1;
}

LogicalResult TargetAttr::verify(EmitError emitError, StringRef arch,
                                 ArrayRef<StringAttr> features, int64_t l1,
                                 int64_t l2, int64_t threads) {
  if (arch.empty())
    return emitError() << "target expected an architecture, got an empty name";
  for (StringAttr feature : features)
    if (!feature || feature.empty() || feature.getValue().contains(',') ||
        feature.getValue().starts_with("+") ||
        feature.getValue().starts_with("-"))
      return emitError() << "target feature expected a plain name, got '"
                         << (feature ? feature.getValue() : "") << "'";
  for (auto [name, value] : {std::pair("l1", l1), std::pair("l2", l2),
                             std::pair("threads", threads)})
    if (value <= 0)
      return emitError() << "target expected " << name << " above 0, got "
                         << value;
  return success();
}

/// Every entry a finite number above zero.
static LogicalResult verifyNumbers(EmitError emitError,
                                   DictionaryAttr numbers) {
  for (NamedAttribute entry : numbers) {
    auto number = dyn_cast<FloatAttr>(entry.getValue());
    if (!number || !number.getType().isF64() || !number.getValue().isFinite() ||
        number.getValueAsDouble() <= 0)
      return emitError() << "profile expected '" << entry.getName().getValue()
                         << "' to be a finite f64 above 0, got "
                         << entry.getValue();
  }
  return success();
}

LogicalResult ProfileAttr::verify(EmitError emitError, DictionaryAttr facts,
                                  DictionaryAttr measured) {
  if (failed(verifyNumbers(emitError, facts)))
    return failure();
  for (NamedAttribute entry :
       measured ? measured.getValue() : ArrayRef<NamedAttribute>()) {
    auto times = dyn_cast<DictionaryAttr>(entry.getValue());
    if (!times)
      return emitError() << "profile expected times of '"
                         << entry.getName().getValue() << "' by candidate, got "
                         << entry.getValue();
    if (failed(verifyNumbers(emitError, times)))
      return failure();
  }
  return success();
}

std::optional<double> ProfileAttr::getMeasured(StringRef key,
                                               StringRef candidate) const {
  auto times = getMeasured() ? getMeasured().getAs<DictionaryAttr>(key)
                             : DictionaryAttr();
  auto time = times ? times.getAs<FloatAttr>(candidate) : FloatAttr();
  return time ? std::optional(time.getValueAsDouble()) : std::nullopt;
}

StringRef RowStreamAttr::getStorageName() const { return "row stream"; }

int64_t RowStreamAttr::getStreams() const { return 1; }

StorageAttrInterface RowStreamAttr::withoutEntries() const {
  return get(getContext(), /*entries=*/0, getPositions(), getPitch(), getTaps(),
             getLine(), getChannels(), getDepth(), getParts(), getSorted());
}

StringRef BitmaskAttr::getStorageName() const { return "bitmask"; }

bool BitmaskAttr::hasPanels() const { return true; }

StorageAttrInterface BitmaskAttr::withoutEntries() const {
  return get(getContext(), /*entries=*/0, getUnit(), getExpansion());
}

StringRef BlockListAttr::getStorageName() const { return "block list"; }

bool BlockListAttr::hasPanels() const { return true; }

LogicalResult BlockListAttr::verify(EmitError emitError, int64_t entries,
                                    int64_t steps, int64_t run) {
  if (entries < 0)
    return emitError() << "block_list expected no negative entries, got "
                       << entries;
  if (steps <= 0)
    return emitError() << "block_list expected steps above 0, got " << steps;
  if (run <= 0 || run % steps != 0)
    return emitError() << "block_list expected a run of whole blocks of "
                       << steps << " steps, got " << run;
  return success();
}

StringRef BoundedAttr::getStorageName() const { return "bounded panels"; }

bool BoundedAttr::hasPanels() const { return true; }

int64_t BoundedAttr::getStreams() const { return 3; }

StorageAttrInterface BoundedAttr::withoutEntries() const {
  return get(getContext(), /*entries=*/0, getSteps(), getRun());
}

LogicalResult BoundedAttr::verify(EmitError emitError, int64_t entries,
                                  int64_t steps, int64_t run) {
  if (entries < 0)
    return emitError() << "bounded expected no negative entries, got "
                       << entries;
  if (steps <= 0)
    return emitError() << "bounded expected steps above 0, got " << steps;
  if (run <= 0)
    return emitError() << "bounded expected a run above 0, got " << run;
  return success();
}

StringRef SlotWindowsAttr::getStorageName() const { return "slot windows"; }

bool SlotWindowsAttr::hasPanels() const { return true; }

StorageAttrInterface SlotWindowsAttr::withoutEntries() const {
  return get(getContext(), /*entries=*/0, getRun(), getLookup());
}

LogicalResult SlotWindowsAttr::verify(EmitError emitError, int64_t entries,
                                      int64_t run, LookupAttrInterface lookup) {
  // Where windows begin is a number of 16 bits.
  constexpr int64_t longest = (1 << 16) - 1 + kWindow;
  if (entries < 0)
    return emitError() << "slot_windows expected no negative entries, got "
                       << entries;
  if (run < kWindow || run > longest)
    return emitError() << "slot_windows expected a run of " << kWindow << " to "
                       << longest << " elements, got " << run;
  return success();
}

int64_t BitmaskAttr::getVectorElements() const {
  return getUnit() * getExpansion().getUnits();
}

LogicalResult BitmaskAttr::verify(EmitError emitError, int64_t entries,
                                  int64_t unit, ExpansionAttrInterface) {
  if (entries < 0)
    return emitError() << "bitmask expected no negative entries, got "
                       << entries;
  if (unit <= 0)
    return emitError() << "bitmask expected a unit above 0, got " << unit;
  return success();
}

/// Expansions name the bytes of a unit.
static LogicalResult verifyUnit(EmitError emitError, StringRef name,
                                int64_t bytes, ArrayRef<int64_t> allowed) {
  if (llvm::is_contained(allowed, bytes))
    return success();
  InFlightDiagnostic error = emitError() << name << " expected ";
  llvm::interleave(allowed, error, " or ");
  return error << " bytes, got " << bytes;
}

LogicalResult X86ShuffleAttr::verify(EmitError emitError, int64_t bytes) {
  return verifyUnit(emitError, getMnemonic(), bytes, {2, 4});
}

LogicalResult X86ExpandAttr::verify(EmitError emitError, int64_t bytes) {
  return verifyUnit(emitError, getMnemonic(), bytes, {1, 4});
}

LogicalResult RowStreamAttr::verify(EmitError emitError, int64_t entries,
                                    int64_t positions, int64_t pitch,
                                    int64_t taps, int64_t line,
                                    int64_t channels, int64_t depth,
                                    int64_t parts, int64_t sorted) {
  if (entries < 0)
    return emitError() << "row_stream expected no negative entries, got "
                       << entries;
  if (positions <= 0)
    return emitError() << "row_stream expected positions above 0, got "
                       << positions;
  if (taps <= 0)
    return emitError() << "row_stream expected taps above 0, got " << taps;
  if (line < 0)
    return emitError() << "row_stream expected no negative line, got " << line;
  if (pitch < positions + taps - 1)
    return emitError() << "row_stream expected a pitch of at least "
                       << positions + taps - 1 << ", got " << pitch;
  if (channels <= 0)
    return emitError() << "row_stream expected channels above 0, got "
                       << channels;
  if (depth <= 0 || (entries >= 0 && entries % depth != 0))
    return emitError() << "row_stream expected entries in wholes of " << depth
                       << ", got " << entries;
  bool isSingle = channels == 1 && depth == 1;
  if (parts <= 0 || (parts > 1 && !isSingle))
    return emitError() << "row_stream expected one part, or parts of one "
                          "channel at a time, got "
                       << parts;
  if (sorted <= 0 || (sorted > 1 && !isSingle))
    return emitError()
           << "row_stream expected lists in order, or sorted ones of "
              "one channel at a time, got "
           << sorted;
  return success();
}

/// Every vector instruction names its lanes; `allowed` empty means any count a
/// register can have.
static LogicalResult verifyLanes(EmitError emitError, StringRef name,
                                 int64_t lanes, ArrayRef<int64_t> allowed) {
  if (allowed.empty()) {
    if (lanes > 0 && lanes <= 64 && llvm::isPowerOf2_64(lanes))
      return success();
    return emitError() << name
                       << " expected lanes to be a power of two up to 64, got "
                       << lanes;
  }
  if (llvm::is_contained(allowed, lanes))
    return success();
  InFlightDiagnostic error = emitError() << name << " expected ";
  llvm::interleave(allowed, error, " or ");
  return error << " lanes, got " << lanes;
}

LogicalResult VectorFmaAttr::verify(EmitError emitError, int64_t lanes, bool) {
  return verifyLanes(emitError, getMnemonic(), lanes, {});
}

LogicalResult VectorMulAttr::verify(EmitError emitError, int64_t lanes) {
  return verifyLanes(emitError, getMnemonic(), lanes, {});
}

LogicalResult X86MaddAttr::verify(EmitError emitError, int64_t lanes, bool) {
  return verifyLanes(emitError, getMnemonic(), lanes, {4, 8, 16});
}

LogicalResult X86MaddubsAttr::verify(EmitError emitError, int64_t lanes, bool) {
  return verifyLanes(emitError, getMnemonic(), lanes, {8, 16});
}

LogicalResult X86VnniAttr::verify(EmitError emitError, int64_t lanes, bool) {
  return verifyLanes(emitError, getMnemonic(), lanes, {8, 16});
}

LogicalResult X86AmxInt8Attr::verify(EmitError emitError, bool nibbles,
                                     bool quads) {
  if (nibbles && quads)
    return emitError() << "expected nibbles or quads, got both";
  return success();
}
