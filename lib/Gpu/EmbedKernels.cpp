// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Device binaries as constants of the host module.
#include "Nvptx.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/SPIRV/IR/SPIRVOps.h"
#include "mlir/Support/FileUtilities.h"
#include "mlir/Target/SPIRV/Serialization.h"
#include "tamis/Gpu/Mapping.h"
#include "tamis/Gpu/Passes.h"
#include "tamis/Runtime/Runtime.h"
#include "tamis/Target/Target.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Program.h"
#include "llvm/Support/ToolOutputFile.h"

namespace mlir::tamis {
#define GEN_PASS_DEF_EMBEDKERNELS
#include "tamis/Gpu/Passes.h.inc"
} // namespace mlir::tamis

using namespace mlir;
using namespace mlir::tamis;

/// What `module` asks of a device, from the capabilities it uses.
static FailureOr<int32_t> getFeatures(spirv::ModuleOp module) {
  using spirv::Capability;
  int32_t features = 0;
  for (Capability capability : module.getVceTriple()->getCapabilities()) {
    switch (capability) {
    case Capability::Shader:
    case Capability::Matrix: // which Shader implies
      break;
    case Capability::Int8:
      features |= TAMIS_DEVICE_INT8;
      break;
    case Capability::Int16:
      features |= TAMIS_DEVICE_INT16;
      break;
    case Capability::Int64:
      features |= TAMIS_DEVICE_INT64;
      break;
    case Capability::Float16:
      features |= TAMIS_DEVICE_FLOAT16;
      break;
    case Capability::StorageBuffer8BitAccess:
      features |= TAMIS_DEVICE_STORAGE8;
      break;
    case Capability::StorageBuffer16BitAccess:
      features |= TAMIS_DEVICE_STORAGE16;
      break;
    default:
      return module.emitOpError("needs the capability ")
             << spirv::stringifyCapability(capability)
             << ", which the runtime does not know";
    }
  }
  return features;
}

/// The rounding of each operation stands: a fused product and sum would make
/// other integers of the same model.
static void forbidContraction(spirv::ModuleOp module) {
  module.walk([&](Operation *op) {
    if (isa<spirv::FMulOp, spirv::FAddOp, spirv::FSubOp>(op))
      op->setAttr("no_contraction", UnitAttr::get(op->getContext()));
  });
}

namespace {
struct EmbedKernels : public tamis::impl::EmbedKernelsBase<EmbedKernels> {
  using EmbedKernelsBase::EmbedKernelsBase;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    SmallVector<gpu::GPUModuleOp> sources(module.getOps<gpu::GPUModuleOp>());
    if (sources.empty())
      return;
    b.emplace(OpBuilder::atBlockEnd(module.getBody()));
    ptr = LLVM::LLVMPointerType::get(&getContext());
    i32 = b->getI32Type();
    SmallVector<SmallVector<Attribute>> entries;
    TargetAttr target = getTarget(module);
    if (failed(getDevice(target) == DeviceKind::Nvptx
                   ? embedPtx(sources, target, entries)
                   : embedSpirv(sources, entries)))
      return signalPassFailure();
    buildTable(module.getLoc(), entries);
    for (gpu::GPUModuleOp source : sources)
      source.erase();
    for (auto binary :
         llvm::make_early_inc_range(module.getOps<spirv::ModuleOp>()))
      binary.erase();
  }

  LogicalResult embedSpirv(ArrayRef<gpu::GPUModuleOp> sources,
                           SmallVectorImpl<SmallVector<Attribute>> &entries) {
    llvm::StringMap<spirv::ModuleOp> binaries;
    for (auto binary : getOperation().getOps<spirv::ModuleOp>())
      if (binary.getName())
        binaries[*binary.getName()] = binary;
    for (gpu::GPUModuleOp source : sources) {
      auto binary = binaries.lookup(("__spv__" + source.getName()).str());
      if (!binary)
        return source.emitOpError("expected a spirv.module made of it");
      if (failed(embed(source, binary, entries)))
        return failure();
    }
    return success();
  }

  /// All kernels in one text, which the driver loads once.
  LogicalResult embedPtx(ArrayRef<gpu::GPUModuleOp> sources, TargetAttr target,
                         SmallVectorImpl<SmallVector<Attribute>> &entries) {
    FailureOr<std::string> text = device::serializePtx(sources, target);
    if (failed(text) || failed(write(sources.front(), "kernels.ptx", *text)))
      return failure();
    FailureOr<Attribute> cubin = embedCubin(sources.front(), target, *text);
    if (failed(cubin))
      return failure();
    // The driver reads up to the first zero.
    text->resize(llvm::alignTo(text->size() + 1, 4), '\0');
    auto code = addText(kPtxName, *text);
    for (gpu::GPUModuleOp source : sources)
      for (auto function : source.getOps<LLVM::LLVMFuncOp>()) {
        if (!function->hasAttr(NVVM::NVVMDialect::getKernelFuncAttrName()))
          continue;
        auto threads = function->getAttrOfType<DenseI32ArrayAttr>(
            gpu::GPUDialect::KnownBlockSizeAttrHelper::getNameStr());
        if (!threads)
          return source.emitOpError(
              "expected a kernel with a known block size");
        ArrayRef<Type> types = function.getArgumentTypes();
        auto buffers = static_cast<int64_t>(llvm::count_if(
            types, [](Type type) { return isa<LLVM::LLVMPointerType>(type); }));
        // Operands begin at the pointers that the kernel is given.
        SmallVector<uint32_t> bytes(buffers, 1);
        entries.push_back({addName(function.getName()), code,
                           b->getI64IntegerAttr(text->size()), *cubin,
                           addConstant((function.getName() + "_elements").str(),
                                       ArrayRef(bytes)),
                           b->getI32IntegerAttr(buffers),
                           b->getI32IntegerAttr(types.size() - buffers),
                           b->getI32IntegerAttr(0),
                           b->getI32IntegerAttr(threads[0])});
      }
    return success();
  }

  /// The cubin of `ptx`, or a null pointer where nothing assembles it: only an
  /// assembler that was asked for has to.
  FailureOr<Attribute> embedCubin(gpu::GPUModuleOp source, TargetAttr target,
                                  StringRef ptx) {
    if (!assemble)
      return nullPointer();
    StringRef chip = device::getChip(target);
    std::string found = ptxas, error;
    if (found.empty())
      if (auto path = llvm::sys::findProgramByName("ptxas"))
        found = *path;
    if (found.empty()) {
      setCode("PTX, for the driver to compile: there is no ptxas on PATH");
      return nullPointer();
    }
    FailureOr<std::string> cubin = device::assemble(found, chip, ptx, error);
    if (failed(cubin)) {
      if (!ptxas.empty())
        return source.emitError("ptxas '") << found << "': " << error;
      source.emitWarning("no cubin: ptxas '") << found << "': " << error;
      setCode("PTX, for the driver to compile: ptxas failed");
      return nullPointer();
    }
    if (failed(write(source, "kernels.cubin", *cubin)))
      return failure();
    setCode("cubin of " + chip + ", and PTX for other chips");
    return Attribute(addText(kCubinName, *cubin));
  }

  /// What the report says of the kernels' form.
  void setCode(const Twine &text) {
    ModuleOp module = getOperation();
    NamedAttrList facts(module->getAttrOfType<DictionaryAttr>(kDeviceAttrName));
    facts.set("code", b->getStringAttr(text));
    module->setAttr(kDeviceAttrName, facts.getDictionary(&getContext()));
  }

  /// Adds the constants of one module and what the table says of its kernels:
  /// symbols for the pointers (nothing: null), integers for the rest.
  LogicalResult embed(gpu::GPUModuleOp source, spirv::ModuleOp binary,
                      SmallVectorImpl<SmallVector<Attribute>> &entries) {
    FailureOr<int32_t> features = getFeatures(binary);
    if (failed(features))
      return failure();
    forbidContraction(binary);
    SmallVector<uint32_t> words;
    spirv::SerializationOptions options;
    options.emitSymbolName = false;
    if (failed(spirv::serialize(binary, words, options)))
      return failure();
    if (failed(write(source, (source.getName() + ".spv").str(),
                     StringRef(reinterpret_cast<const char *>(words.data()),
                               words.size() * 4))))
      return failure();
    std::string name = source.getName().str();
    auto code = addConstant(name + "_code", ArrayRef(words));
    for (auto function : source.getOps<gpu::GPUFuncOp>()) {
      SmallVector<uint32_t> bytes;
      ArrayRef<Type> types = function.getArgumentTypes();
      for (Type type : types.drop_back())
        bytes.push_back(llvm::divideCeil(
            cast<MemRefType>(type).getElementTypeBitWidth(), 8));
      int64_t count = cast<MemRefType>(types.back()).getDimSize(0);
      entries.push_back(
          {addName(function.getName()), code,
           b->getI64IntegerAttr(words.size() * 4), nullPointer(),
           addConstant((function.getName() + "_elements").str(),
                       ArrayRef(bytes)),
           b->getI32IntegerAttr(bytes.size()), b->getI32IntegerAttr(count),
           b->getI32IntegerAttr(*features), b->getI32IntegerAttr(0)});
    }
    return success();
  }

  LogicalResult write(gpu::GPUModuleOp source, StringRef name,
                      StringRef bytes) {
    if (folder.empty())
      return success();
    SmallString<128> path(folder);
    llvm::sys::path::append(path, name);
    std::string error;
    auto file = openOutputFile(path, &error);
    if (!file)
      return source.emitError(error);
    file->os() << bytes;
    file->keep();
    return success();
  }

  FlatSymbolRefAttr addGlobal(StringRef name, Type type, Attribute value) {
    auto global = LLVM::GlobalOp::create(
        *b, getOperation().getLoc(), type, /*isConstant=*/true,
        LLVM::Linkage::Internal, name, value, /*alignment=*/8);
    return FlatSymbolRefAttr::get(global);
  }

  FlatSymbolRefAttr addConstant(StringRef name, ArrayRef<uint32_t> words) {
    auto type = RankedTensorType::get({int64_t(words.size())}, i32);
    return addGlobal(
        name, LLVM::LLVMArrayType::get(i32, words.size()),
        DenseElementsAttr::getFromRawBuffer(
            type, ArrayRef(reinterpret_cast<const char *>(words.data()),
                           words.size() * 4)));
  }

  static Attribute nullPointer() { return Attribute(); }

  FlatSymbolRefAttr addText(StringRef name, StringRef text) {
    return addGlobal(name,
                     LLVM::LLVMArrayType::get(b->getI8Type(), text.size()),
                     b->getStringAttr(text));
  }

  FlatSymbolRefAttr addName(StringRef name) {
    std::string text = (name + Twine('\0')).str();
    return addText((name + "_name").str(), text);
  }

  void buildTable(Location loc, ArrayRef<SmallVector<Attribute>> entries) {
    auto entryType = LLVM::LLVMStructType::getLiteral(
        &getContext(),
        {ptr, ptr, b->getI64Type(), ptr, ptr, i32, i32, i32, i32});
    auto type = LLVM::LLVMArrayType::get(entryType, entries.size());
    auto table = LLVM::GlobalOp::create(*b, loc, type, /*isConstant=*/true,
                                        LLVM::Linkage::Internal,
                                        "tamis_kernels", Attribute());
    OpBuilder inside(&getContext());
    inside.createBlock(&table.getInitializerRegion());
    Value all = LLVM::UndefOp::create(inside, loc, type);
    for (auto [i, entry] : llvm::enumerate(entries))
      for (auto [field, attribute] : llvm::enumerate(entry)) {
        Value value;
        if (!attribute)
          value = LLVM::ZeroOp::create(inside, loc, ptr);
        else if (auto symbol = dyn_cast<FlatSymbolRefAttr>(attribute))
          value = LLVM::AddressOfOp::create(inside, loc, ptr, symbol);
        else
          value = LLVM::ConstantOp::create(
              inside, loc, cast<TypedAttr>(attribute).getType(), attribute);
        all = LLVM::InsertValueOp::create(
            inside, loc, all, value,
            ArrayRef<int64_t>{int64_t(i), int64_t(field)});
      }
    LLVM::ReturnOp::create(inside, loc, all);
  }

  std::optional<OpBuilder> b;
  Type ptr, i32;
};
} // namespace
