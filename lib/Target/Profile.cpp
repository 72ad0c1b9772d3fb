// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The facts of the cost models, and the file that holds them with measured
// times. The built-in numbers were measured on AVX2 (Zen 3) with layers of
// ResNet-50 and MiniLM.
#include "tamis/Target/Profile.h"
#include "mlir/IR/Builders.h"
#include "tamis/Target/Target.h"
#include "llvm/Support/JSON.h"
#include <cmath>

using namespace mlir;
using namespace mlir::tamis;

/// The version of the file's form.
static constexpr int64_t kVersion = 1;
/// Before the name of an instruction: cycles of one vector of its products.
static constexpr StringLiteral kInstruction = "instruction.";

static constexpr std::pair<StringLiteral, double> kFacts[] = {
    // Cycles in a nanosecond: what a prediction is shown by.
    {"clock.ghz", 3.0},
    // Share of its instruction's rate that a dense kernel reaches.
    {"dense.share", 0.9},
    // Bytes a cycle from L2, and from what is behind it.
    {"l2.bytes_per_cycle", 28},
    {"memory.bytes_per_cycle", 22},
    // What an entry costs beside its products: two loads, a branch.
    {"row_stream.entry", 0.5},
    // A chain of float additions takes this long for every entry.
    {"row_stream.latency", 4},
    // Leaving the loop of one column: a mispredicted branch.
    {"row_stream.column", 20},
    // A word that is transposed on its way into the stage or out of
    // accumulators.
    {"row_stream.transposed", 0.5},
    // More of it where rows are finished one by one.
    {"row_stream.finished", 0.5},
    // A stream has to promise this much of the dense time; less where it takes
    // more bytes than the panels, which come from memory now and then.
    {"row_stream.margin", 0.85},
    {"row_stream.larger_margin", 0.7},
    // Vectors of products that are worth waking a worker for: some 25 us.
    {"task.vectors", 25e3 / 0.3},
};

ProfileAttr mlir::tamis::getDefaultProfile(TargetAttr target) {
  Builder b(target.getContext());
  NamedAttrList facts;
  for (const auto &[name, value] : kFacts)
    facts.set(name, b.getF64FloatAttr(value));
  for (InstructionAttrInterface instruction : getInstructions(target, true))
    facts.set((kInstruction + instruction.getInstructionName()).str(),
              b.getF64FloatAttr(instruction.getCycles()));
  return ProfileAttr::get(b.getContext(), facts.getDictionary(b.getContext()),
                          nullptr);
}

ProfileAttr mlir::tamis::getProfile(Operation *op, TargetAttr target) {
  for (; op; op = op->getParentOp())
    if (auto profile = op->getAttrOfType<ProfileAttr>(kProfileAttrName))
      return profile;
  return getDefaultProfile(target);
}

double mlir::tamis::getFact(ProfileAttr profile, StringRef name) {
  if (auto fact = profile.getFacts().getAs<FloatAttr>(name))
    return fact.getValueAsDouble();
  const auto *known = llvm::find_if(
      kFacts, [&](const auto &entry) { return entry.first == name; });
  assert(known != std::end(kFacts) && "a fact without a value");
  return known->second;
}

double mlir::tamis::getCycles(ProfileAttr profile,
                              InstructionAttrInterface instruction) {
  std::string name = (kInstruction + instruction.getInstructionName()).str();
  if (auto fact = profile.getFacts().getAs<FloatAttr>(name))
    return fact.getValueAsDouble();
  return instruction.getCycles();
}

//===-- the file ----------------------------------------------------------===//

static std::string joinFeatures(TargetAttr target) {
  return llvm::join(llvm::map_range(target.getFeatures(),
                                    [](StringAttr f) { return f.getValue(); }),
                    ",");
}

std::string mlir::tamis::writeProfile(TargetAttr target, ProfileAttr profile) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  llvm::json::OStream json(stream, 1);
  auto writeNumbers = [&](DictionaryAttr numbers) {
    for (NamedAttribute entry : numbers)
      json.attribute(entry.getName().getValue(),
                     cast<FloatAttr>(entry.getValue()).getValueAsDouble());
  };
  json.object([&] {
    json.attribute("tamis_profile", kVersion);
    json.attribute("arch", target.getArch());
    json.attribute("features", joinFeatures(target));
    json.attributeObject("facts", [&] { writeNumbers(profile.getFacts()); });
    json.attributeObject("measured", [&] {
      if (DictionaryAttr measured = profile.getMeasured())
        for (NamedAttribute entry : measured)
          json.attributeObject(entry.getName().getValue(), [&] {
            writeNumbers(cast<DictionaryAttr>(entry.getValue()));
          });
    });
  });
  return text + "\n";
}

namespace {
/// Reads one file; what is wrong with it goes to `emitError`.
struct Reader {
  MLIRContext *context;
  function_ref<InFlightDiagnostic()> emitError;

  FailureOr<NamedAttrList> readNumbers(const llvm::json::Object &object,
                                       const Twine &where) {
    NamedAttrList numbers;
    for (const auto &[key, value] : object) {
      std::optional<double> number = value.getAsNumber();
      if (!number || !std::isfinite(*number) || *number <= 0)
        return emitError() << "'" << StringRef(key) << "' of " << where
                           << " expected a finite number above 0";
      numbers.set(StringRef(key),
                  FloatAttr::get(Float64Type::get(context), *number));
    }
    return numbers;
  }

  FailureOr<DictionaryAttr> readMeasured(const llvm::json::Object &object) {
    NamedAttrList measured;
    for (const auto &[key, value] : object) {
      const llvm::json::Object *times = value.getAsObject();
      if (!times)
        return emitError() << "'" << StringRef(key)
                           << "' of 'measured' expected times by candidate";
      FailureOr<NamedAttrList> read =
          readNumbers(*times, "'" + Twine(StringRef(key)) + "'");
      if (failed(read))
        return failure();
      measured.set(StringRef(key), read->getDictionary(context));
    }
    return measured.getDictionary(context);
  }
};
} // namespace

/// The first feature that one of the two has and the other has not.
static std::string findDifference(ArrayRef<StringRef> file, TargetAttr target) {
  for (StringAttr feature : target.getFeatures())
    if (!llvm::is_contained(file, feature.getValue()))
      return ("without '" + feature.getValue() + "', which the target has")
          .str();
  for (StringRef feature : file)
    if (!target.hasFeature(feature))
      return ("with '" + feature + "', which the target does not have").str();
  return "";
}

FailureOr<SmallVector<ProfileAttr>>
mlir::tamis::readProfile(StringRef text, ArrayRef<TargetAttr> targets,
                         function_ref<InFlightDiagnostic()> emitError) {
  llvm::Expected<llvm::json::Value> parsed = llvm::json::parse(text);
  if (!parsed)
    return emitError() << llvm::toString(parsed.takeError());
  const llvm::json::Object *file = parsed->getAsObject();
  if (!file || file->getInteger("tamis_profile") != kVersion)
    return emitError() << "expected an object with \"tamis_profile\": "
                       << kVersion;
  std::optional<StringRef> arch = file->getString("arch");
  std::optional<StringRef> features = file->getString("features");
  if (!arch || !features)
    return emitError() << "expected the texts 'arch' and 'features'";
  for (const auto &[key, value] : *file)
    if (!llvm::is_contained(
            {"tamis_profile", "arch", "features", "facts", "measured"},
            StringRef(key)))
      return emitError() << "unknown entry '" << StringRef(key) << "'";
  static const llvm::json::Object none;
  auto getObject = [&](StringRef name) -> const llvm::json::Object * {
    return file->get(name) ? file->getObject(name) : &none;
  };
  const llvm::json::Object *factList = getObject("facts");
  const llvm::json::Object *measuredList = getObject("measured");
  if (!factList || !measuredList)
    return emitError() << "expected 'facts' and 'measured' to be "
                          "objects";
  Reader reader{targets.front().getContext(), emitError};
  FailureOr<NamedAttrList> facts = reader.readNumbers(*factList, "'facts'");
  FailureOr<DictionaryAttr> measured = reader.readMeasured(*measuredList);
  if (failed(facts) || failed(measured))
    return failure();

  SmallVector<StringRef> names;
  features->split(names, ',', -1, /*KeepEmpty=*/false);
  SmallVector<ProfileAttr> profiles;
  std::string difference;
  bool found = false;
  for (TargetAttr target : targets) {
    std::string other =
        target.getArch() == *arch
            ? findDifference(names, target)
            : ("of " + *arch + ", the target is " + target.getArch()).str();
    ProfileAttr profile = getDefaultProfile(target);
    if (other.empty()) {
      found = true;
      NamedAttrList all(profile.getFacts());
      for (NamedAttribute fact : *facts) {
        if (!all.get(fact.getName()))
          return emitError() << "there is no fact '"
                             << fact.getName().getValue() << "' of this target";
        all.set(fact.getName(), fact.getValue());
      }
      profile = ProfileAttr::get(target.getContext(),
                                 all.getDictionary(target.getContext()),
                                 measured->empty() ? nullptr : *measured);
    }
    if (difference.empty())
      difference = other;
    profiles.push_back(profile);
  }
  if (!found)
    return emitError() << "it is of another machine, " << difference;
  return profiles;
}
