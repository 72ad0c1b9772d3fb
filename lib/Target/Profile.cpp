// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The facts of the cost models, and the file that holds them with measured
// times. The built-in numbers were measured on AVX2 (Zen 3) with layers of
// ResNet-50 and MiniLM.
#include "tamis/Target/Profile.h"
#include "DeviceFacts.h"
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
    // Bytes a cycle from L2, from what is behind it, and from memory, where a
    // model has more weights than `l3.bytes`: another model may want the rest.
    {"l2.bytes_per_cycle", 28},
    {"memory.bytes_per_cycle", 22},
    {"dram.bytes_per_cycle", 5},
    {"l3.bytes", 32 << 20},
    // A single row reads panels, dense or of N:M, at several places in turns.
    {"panels.at_once", 1.4},
    // A bitmask has to promise this much of the dense time: it takes a core
    // that
    // others disturb longer than one that waits for memory.
    {"bitmask.margin", 0.75},
    // What a stored block costs a register block beside its products: where it
    // lies, and accumulators that wait for each other. What a list costs one: a
    // mispredicted branch. What a list has to promise of the dense time.
    {"block_list.entry", 4},
    {"block_list.list", 20},
    {"block_list.margin", 0.85},
    {"bounded.entry", 6},
    {"bounded.list", 10},
    {"bounded.margin", 0.95},
    {"bounded.narrow", 0.85},
    // 64 weights of 4 bits that are unpacked for tiles; a vector of sums of a
    // block that is scaled and added to its total: counted by llvm-mca.
    {"nibbles.unpacked", 0.8},
    {"block_sums.combined", 4},
    // The same of storages of fixed stride, which keep a core less busy.
    {"n_of_m.margin", 0.85},
    {"codebook.margin", 0.8},
    // An entry of slot windows beside its products: where they begin and what
    // they pick; what they have to promise.
    {"slot_windows.entry", 2},
    {"slot_windows.margin", 0.9},
    // What an entry costs beside its products: two loads, a branch.
    {"row_stream.entry", 0.5},
    // A chain of float additions takes this long for every entry.
    {"row_stream.latency", 4},
    // Leaving the loop of one column: a mispredicted branch, or one that is not
    // where lists are sorted by their lengths.
    {"row_stream.column", 20},
    {"row_stream.sorted", 9},
    // The share of a stage as large as L1 that is not there when it is read.
    {"row_stream.lost", 0.2},
    // Products of taps, whose vectors lie across two lines, beside others.
    {"row_stream.unaligned", 1.5},
    {"row_stream.unaligned_bytes", 1.3},
    // A word that is transposed on its way into the stage or out of
    // accumulators.
    {"row_stream.transposed", 0.5},
    // A vector of words that is copied into a register tile's place.
    {"row_stream.gathered", 2.5},
    // More of it where rows are finished one by one.
    {"row_stream.finished", 0.5},
    // A stream has to promise this much of the dense time. Where it takes more
    // bytes than the panels, that of floats less, since long lists take longer
    // than they should; of bytes, whose panels are slow where products are
    // exact, only what these come from memory.
    {"row_stream.margin", 0.85},
    {"row_stream.larger_margin", 0.7},
    // A vector of a place of a tile that is transformed, and what transformed
    // windows have to promise.
    {"winograd.moved", 5},
    {"winograd.bytes_per_cycle", 8},
    {"winograd.margin", 0.9},
    // Vectors of products that are worth waking a worker for: some 25 us.
    {"task.vectors", 25e3 / 0.3},
};

ProfileAttr mlir::tamis::getDefaultProfile(TargetAttr target) {
  Builder b(target.getContext());
  NamedAttrList facts;
  ArrayRef<std::pair<StringLiteral, double>> known = getDeviceFacts(target);
  if (!known.empty()) {
    for (const auto &[name, value] : known)
      facts.set(name, b.getF64FloatAttr(value));
    return ProfileAttr::get(b.getContext(), facts.getDictionary(b.getContext()),
                            nullptr);
  }
  for (const auto &[name, value] : kFacts)
    facts.set(name, b.getF64FloatAttr(value));
  SmallVector<InstructionAttrInterface> instructions =
      getInstructions(target, true);
  instructions.append(getSelections(target));
  for (InstructionAttrInterface instruction : instructions)
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
/// What a file says.
struct ProfileFile {
  std::string arch;
  SmallVector<std::string> features;
  NamedAttrList facts;
  DictionaryAttr measured;
};

/// Reads one file; what is wrong with it goes to `emitError`.
struct Reader {
  MLIRContext *context;
  function_ref<InFlightDiagnostic()> emitError;

  FailureOr<ProfileFile> read(StringRef text) {
    llvm::Expected<llvm::json::Value> parsed = llvm::json::parse(text);
    if (!parsed)
      return emitError() << llvm::toString(parsed.takeError());
    const llvm::json::Object *object = parsed->getAsObject();
    if (!object || object->getInteger("tamis_profile") != kVersion)
      return emitError() << "expected an object with \"tamis_profile\": "
                         << kVersion;
    ProfileFile file;
    for (const auto &[key, value] : *object) {
      StringRef name(key);
      if (name != "tamis_profile" && failed(readEntry(name, value, file)))
        return failure();
    }
    if (file.arch.empty() || !object->get("features"))
      return emitError() << "expected the texts 'arch' and 'features'";
    return file;
  }

private:
  LogicalResult readEntry(StringRef name, const llvm::json::Value &value,
                          ProfileFile &file) {
    bool isText = name == "arch" || name == "features";
    if (!isText && name != "facts" && name != "measured")
      return emitError() << "unknown entry '" << name << "'";
    std::optional<StringRef> text = value.getAsString();
    const llvm::json::Object *object = value.getAsObject();
    if (isText ? !text : !object)
      return emitError() << "expected '" << name << "' to be "
                         << (isText ? "a text" : "an object");
    if (name == "arch") {
      file.arch = text->str();
    } else if (name == "features") {
      for (StringRef feature : llvm::split(*text, ','))
        file.features.push_back(feature.str());
    } else if (name == "facts") {
      return readNumbers(name, *object, file.facts);
    } else {
      NamedAttrList measured;
      for (const auto &[key, times] : *object) {
        NamedAttrList numbers;
        const llvm::json::Object *list = times.getAsObject();
        if (!list)
          return emitError() << "'" << StringRef(key)
                             << "' of 'measured' expected times by candidate";
        if (failed(readNumbers(StringRef(key), *list, numbers)))
          return failure();
        measured.set(StringRef(key), numbers.getDictionary(context));
      }
      file.measured = measured.getDictionary(context);
    }
    return success();
  }

  LogicalResult readNumbers(StringRef where, const llvm::json::Object &object,
                            NamedAttrList &numbers) {
    for (const auto &[key, value] : object) {
      std::optional<double> number = value.getAsNumber();
      if (!number || !std::isfinite(*number) || *number <= 0)
        return emitError() << "'" << StringRef(key) << "' of '" << where
                           << "' expected a finite number above 0";
      numbers.set(StringRef(key),
                  FloatAttr::get(Float64Type::get(context), *number));
    }
    return success();
  }
};
} // namespace

/// What tells the file's machine from the target; empty where nothing does.
static std::string findDifference(const ProfileFile &file, TargetAttr target) {
  if (target.getArch() != file.arch)
    return ("of " + file.arch + ", the target is " + target.getArch()).str();
  for (StringAttr feature : target.getFeatures())
    if (!llvm::is_contained(file.features, feature.getValue()))
      return ("without '" + feature.getValue() + "', which the target has")
          .str();
  for (StringRef feature : file.features)
    if (!feature.empty() && !target.hasFeature(feature))
      return ("with '" + feature + "', which the target does not have").str();
  return "";
}

FailureOr<SmallVector<ProfileAttr>>
mlir::tamis::readProfile(StringRef text, ArrayRef<TargetAttr> targets,
                         function_ref<InFlightDiagnostic()> emitError) {
  MLIRContext *context = targets.front().getContext();
  FailureOr<ProfileFile> file = Reader{context, emitError}.read(text);
  if (failed(file))
    return failure();
  SmallVector<ProfileAttr> profiles;
  SmallVector<std::string> differences;
  for (TargetAttr target : targets) {
    ProfileAttr &profile = profiles.emplace_back(getDefaultProfile(target));
    std::string difference = findDifference(*file, target);
    if (!difference.empty()) {
      differences.push_back(difference);
      continue;
    }
    NamedAttrList facts(profile.getFacts());
    for (NamedAttribute fact : file->facts)
      if (!facts.set(fact.getName(), fact.getValue()))
        return emitError() << "there is no fact '" << fact.getName().getValue()
                           << "' of this target";
    profile =
        ProfileAttr::get(context, facts.getDictionary(context), file->measured);
  }
  if (differences.size() == targets.size())
    return emitError() << "it is of another machine, " << differences.front();
  return profiles;
}
