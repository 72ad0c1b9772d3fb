// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Machines are feature lists. This file makes them: from the host, from names
// and features a user writes; and asks the architectures for instructions.
#include "tamis/Target/Target.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/TargetParser/Host.h"
#include "llvm/TargetParser/Triple.h"

#include <unistd.h>

using namespace mlir;
using namespace mlir::tamis;

/// A name a user may write, the name it extends and what it adds.
namespace {
struct NamedMachine {
  StringRef name;
  StringRef arch;
  StringRef base;
  StringRef features;
};
} // namespace

static constexpr NamedMachine kMachines[] = {
    {"x86-64", "x86_64", "", "cmov,cx8,fxsr,mmx,sse,sse2,x87"},
    {"x86-64-v2", "x86_64", "x86-64",
     "cx16,popcnt,sahf,sse3,sse4.1,sse4.2,ssse3"},
    {"x86-64-v3", "x86_64", "x86-64-v2",
     "avx,avx2,bmi,bmi2,f16c,fma,lzcnt,movbe,xsave"},
    {"x86-64-v4", "x86_64", "x86-64-v3",
     "avx512bw,avx512cd,avx512dq,avx512f,avx512vl"},
    {"amx", "x86_64", "x86-64-v4",
     "amx-bf16,amx-int8,amx-tile,avx512bf16,avx512vbmi,avx512vbmi2,avx512vnni"},
    {"aarch64", "aarch64", "", "neon"},
    {"vulkan", "vulkan", "", ""},
    {"nvptx:sm_80", "nvptx64", "", "mma,mma-sp,sm_80"},
    {"nvptx:sm_89", "nvptx64", "", "mma,mma-sp,sm_89"},
    {"nvptx:sm_90a", "nvptx64", "", "mma,mma-sp,sm_90a"},
};

/// What a feature written alone brings with it, so that the tables need to ask
/// for one feature only.
static constexpr std::pair<StringRef, StringRef> kImplied[] = {
    {"avx512vnni", "avx512f"},
    {"avx512bf16", "avx512bw"},
    {"avx512vbmi", "avx512bw"},
    {"avx512vbmi2", "avx512bw"},
    {"avx512bw", "avx512f"},
    {"avx512dq", "avx512f"},
    {"avx512vl", "avx512f"},
    {"avx512cd", "avx512f"},
    {"avx512f", "avx2"},
    {"avx512f", "fma"},
    {"avx512f", "f16c"},
    {"avxvnni", "avx2"},
    {"amx-int8", "amx-tile"},
    {"amx-bf16", "amx-tile"},
    {"avx2", "avx"},
    {"fma", "avx"},
    {"f16c", "avx"},
    {"avx", "sse4.2"},
    {"sse4.2", "sse4.1"},
    {"sse4.1", "ssse3"},
    {"ssse3", "sse3"},
    {"sse3", "sse2"},
};

static void insertWithImplied(llvm::StringSet<> &features, StringRef feature) {
  if (!features.insert(feature).second)
    return;
  for (auto [name, implied] : kImplied)
    if (name == feature)
      insertWithImplied(features, implied);
}

static const NamedMachine *findMachine(StringRef name) {
  const NamedMachine *found = llvm::find_if(
      kMachines, [&](const NamedMachine &m) { return m.name == name; });
  return found == std::end(kMachines) ? nullptr : found;
}

static void insertMachine(llvm::StringSet<> &features,
                          const NamedMachine &machine) {
  if (const NamedMachine *base = findMachine(machine.base))
    insertMachine(features, *base);
  for (StringRef feature : llvm::split(machine.features, ','))
    if (!feature.empty())
      insertWithImplied(features, feature);
}

/// Sorted, so that equal machines are equal attributes.
static TargetAttr makeTarget(MLIRContext *context, StringRef arch,
                             const llvm::StringSet<> &features, int64_t l1,
                             int64_t l2, int64_t threads) {
  SmallVector<StringRef> sorted(features.keys());
  llvm::sort(sorted);
  auto attrs = llvm::map_to_vector(
      sorted, [&](StringRef f) { return StringAttr::get(context, f); });
  return TargetAttr::get(context, arch, attrs, l1, l2, threads);
}

/// A cache size the system reports, or `fallback` where it does not.
static int64_t cacheSize(int name, int64_t fallback) {
  long size = sysconf(name);
  return size > 0 ? size : fallback;
}

TargetAttr mlir::tamis::hostTarget(MLIRContext *context, int64_t threads) {
  llvm::StringSet<> features;
  for (const auto &entry : llvm::sys::getHostCPUFeatures())
    if (entry.second)
      features.insert(entry.first());
  llvm::Triple triple(llvm::sys::getProcessTriple());
  int64_t l1 = 32 << 10, l2 = 1 << 20;
#ifdef _SC_LEVEL1_DCACHE_SIZE
  l1 = cacheSize(_SC_LEVEL1_DCACHE_SIZE, l1);
  l2 = cacheSize(_SC_LEVEL2_CACHE_SIZE, l2);
#endif
  return makeTarget(context, llvm::Triple::getArchTypeName(triple.getArch()),
                    features, l1, l2, threads);
}

FailureOr<SmallVector<TargetAttr>>
mlir::tamis::parseTargets(MLIRContext *context, StringRef text, int64_t threads,
                          function_ref<InFlightDiagnostic()> emitError) {
  struct Draft {
    StringRef arch;
    llvm::StringSet<> features;
    int64_t l1, l2;
  };
  SmallVector<Draft> drafts;
  llvm::StringSet<> known;
  for (const NamedMachine &machine : kMachines)
    insertMachine(known, machine);
  for (auto [name, implied] : kImplied)
    known.insert(name);
  for (StringRef feature : {"avxvnniint8", "dotprod", "i8mm", "avx512fp16"})
    known.insert(feature);
  for (StringRef part : llvm::split(text, ',')) {
    part = part.trim();
    part.consume_front("+");
    if (part == "native") {
      TargetAttr host = hostTarget(context, threads);
      Draft &draft = drafts.emplace_back(
          Draft{host.getArch(), {}, host.getL1(), host.getL2()});
      for (StringAttr feature : host.getFeatures())
        draft.features.insert(feature.getValue());
    } else if (const NamedMachine *machine = findMachine(part)) {
      Draft &draft =
          drafts.emplace_back(Draft{machine->arch, {}, 32 << 10, 1 << 20});
      insertMachine(draft.features, *machine);
    } else if (known.contains(part)) {
      if (drafts.empty()) {
        Draft &draft = drafts.emplace_back(
            Draft{kMachines[0].arch, {}, 32 << 10, 1 << 20});
        insertMachine(draft.features, kMachines[0]);
      }
      insertWithImplied(drafts.back().features, part);
    } else {
      return emitError() << "unknown target or feature '" << part
                         << "', expected native, x86-64, x86-64-v2, x86-64-v3, "
                            "x86-64-v4, amx, aarch64, vulkan, nvptx:sm_80, "
                            "nvptx:sm_89, nvptx:sm_90a or an LLVM feature";
    }
  }
  SmallVector<TargetAttr> targets;
  for (const Draft &draft : drafts)
    targets.push_back(makeTarget(context, draft.arch, draft.features, draft.l1,
                                 draft.l2, threads));
  for (TargetAttr &target : targets)
    if (getDevice(target) != DeviceKind::None) {
      if (targets.size() > 1)
        return emitError() << "target '" << target.getArch()
                           << "': expected no other target beside it";
      // The host waits for the device.
      target = TargetAttr::get(context, target.getArch(), target.getFeatures(),
                               target.getL1(), target.getL2(), /*threads=*/1);
    }
  return targets;
}

TargetAttr mlir::tamis::getTarget(Operation *op) {
  for (; op; op = op->getParentOp())
    if (auto target = op->getAttrOfType<TargetAttr>(kTargetAttrName))
      return target;
  return nullptr;
}

DeviceKind mlir::tamis::getDevice(TargetAttr target) {
  if (!target)
    return DeviceKind::None;
  return llvm::StringSwitch<DeviceKind>(target.getArch())
      .Case("vulkan", DeviceKind::Vulkan)
      .Case("nvptx64", DeviceKind::Nvptx)
      .Default(DeviceKind::None);
}

SmallVector<StringRef> mlir::tamis::getHostFeatures(TargetAttr target) {
  auto isDevice = [](StringRef feature) {
    return feature == "mma" || feature == "mma-sp" ||
           feature.starts_with("sm_");
  };
  SmallVector<StringRef> features;
  for (StringAttr feature : target.getFeatures())
    if (!isDevice(feature.getValue()))
      features.push_back(feature.getValue());
  return features;
}

StringRef mlir::tamis::getHostArch(TargetAttr target) {
  return target && getDevice(target) == DeviceKind::None ? target.getArch()
                                                         : "x86_64";
}

/// The policy around `op`; null where there is none.
static PolicyAttr getPolicy(Operation *op) {
  for (; op; op = op->getParentOp())
    if (auto policy = op->getAttrOfType<PolicyAttr>(kPolicyAttrName))
      return policy;
  return nullptr;
}

bool mlir::tamis::isStrict(Operation *op) {
  PolicyAttr policy = getPolicy(op);
  return policy && policy.getStrict();
}

bool mlir::tamis::allowsBf16(Operation *op) {
  PolicyAttr policy = getPolicy(op);
  return policy && policy.getAllowBf16();
}

SmallVector<InstructionAttrInterface>
mlir::tamis::getInstructions(TargetAttr target, bool allowBf16) {
  SmallVector<InstructionAttrInterface> table;
  appendX86Instructions(target, allowBf16, table);
  appendGenericInstructions(target, table);
  return table;
}

SmallVector<InstructionAttrInterface>
mlir::tamis::getBlockInstructions(TargetAttr target) {
  SmallVector<InstructionAttrInterface> table;
  appendX86BlockInstructions(target, table);
  return table;
}

SmallVector<ExpansionAttrInterface>
mlir::tamis::getExpansions(TargetAttr target) {
  SmallVector<ExpansionAttrInterface> table;
  appendX86Expansions(target, table);
  return table;
}

SmallVector<InstructionAttrInterface>
mlir::tamis::getSelections(TargetAttr target) {
  SmallVector<InstructionAttrInterface> table;
  appendX86Selections(target, table);
  return table;
}

SmallVector<LookupAttrInterface> mlir::tamis::getLookups(TargetAttr target) {
  SmallVector<LookupAttrInterface> table;
  appendX86Lookups(target, table);
  return table;
}
