// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The stage table and the order of passes, each with its reason.
#include "tamis/Pipeline/Pipeline.h"
#include "mlir/Conversion/Passes.h"
#include "mlir/Dialect/Affine/Transforms/Passes.h"
#include "mlir/Dialect/Arith/Transforms/Passes.h"
#include "mlir/Dialect/Bufferization/Transforms/Passes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/GPU/Transforms/Passes.h"
#include "mlir/Dialect/Linalg/Passes.h"
#include "mlir/Dialect/MemRef/Transforms/Passes.h"
#include "mlir/Dialect/SPIRV/IR/SPIRVOps.h"
#include "mlir/Dialect/SPIRV/Transforms/Passes.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Transforms/Passes.h"
#include "tamis/Compress/Passes.h"
#include "tamis/Conversion/Passes.h"
#include "tamis/Gpu/Passes.h"
#include "tamis/IR/Tamis.h"
#include "tamis/Kernels/Passes.h"
#include "tamis/Pipeline/Compile.h"
#include "tamis/Transforms/Passes.h"

using namespace mlir;
using namespace mlir::tamis;

static void addCleanup(OpPassManager &pm) {
  // Blocks are never alike here; looking for such takes longer than the rest.
  GreedyRewriteConfig config;
  config.setRegionSimplificationLevel(GreedySimplifyRegionLevel::Disabled);
  // What a change touches is looked at again anyway.
  config.setMaxIterations(1);
  pm.addPass(createCanonicalizerPass(config));
  pm.addPass(createCSEPass());
}

static void populateImport(OpPassManager &pm, const CompileOptions &options) {
  // Before everything: no other pass knows encodings.
  pm.addPass(createImportSparseTensor());
  // Before what folds: upstream turns quantize-dequantize casts to nothing.
  pm.addPass(createImportQuantTypes());
  pm.addNestedPass<func::FuncOp>(createImportTosa());
  // MLIR of other origin says `arith.addf` on tensors and `linalg.matmul`.
  pm.addNestedPass<func::FuncOp>(createConvertElementwiseToLinalgPass());
  pm.addNestedPass<func::FuncOp>(createRaiseContractions());
  // The importer leaves shape arithmetic of open dimensions behind.
  addCleanup(pm);
}

static void populateCompress(OpPassManager &pm, const CompileOptions &options) {
  // What was to be observed has been.
  pm.addPass(createDropObservations());
  // Before constants are evaluated: a table times factors has many values.
  pm.addNestedPass<func::FuncOp>(createSinkFactors());
  // Factors of normalizations and zero points that are computed.
  pm.addPass(createFoldConstants());
  // Needs quantize and dequantize as operations, before anything lowers them.
  pm.addNestedPass<func::FuncOp>(createFoldFakeQuant());
  pm.addNestedPass<func::FuncOp>(createFoldOffsets());
  // Looks for dequantized operands, so after fake quantization became one.
  pm.addPass(createRecoverGrid());
  pm.addNestedPass<func::FuncOp>(createLowerQAT());
  pm.addPass(createLowerQuantization());
  // Elementwise arithmetic of constants: scales, batch normalization.
  pm.addPass(createFoldConstants());
  addCleanup(pm);
  pm.addPass(createSymbolDCEPass());
}

static void populatePlan(OpPassManager &pm, const CompileOptions &options) {
  if (options.oracle)
    return;
  // Before anything decides by element types.
  pm.addNestedPass<func::FuncOp>(createWidenHalf());
  // Before fusion: a fused generic has several operands, each of which would
  // have to agree on a layout.
  pm.addNestedPass<func::FuncOp>(createAssignLayouts());
  // On final layouts, which decide whether pairs of reduced elements lie side
  // by side; before fusion, which takes the rounding into the producer.
  pm.addPass(createNarrowContractions());
  // Transposes of weights that the layouts asked for, and their rounding.
  pm.addPass(createFoldConstants());
  addCleanup(pm);
  // Elementwise chains first, so that an epilogue takes a whole chain.
  pm.addPass(createFuseElementwise());
  pm.addPass(createFuseEpilogues());
  // After epilogues: padding is written by the producer, epilogue included.
  pm.addNestedPass<func::FuncOp>(createMaterializePadding());
  addCleanup(pm);
  if (options.device == DeviceKind::None) {
    // After fusion, because an epilogue decides what an output element is.
    pm.addPass(createSelectInstructions());
    // After it: a stream has to be faster than the panels that were chosen.
    SelectStorageOptions storage;
    storage.size = options.optimizeForSize;
    pm.addPass(createSelectStorage(storage));
    // Asks which contractions have a kernel.
    pm.addNestedPass<func::FuncOp>(createSelectAttention());
  } else {
    pm.addPass(createSelectFragments());
  }
  pm.addPass(createReportDecisions());
}

static void populatePack(OpPassManager &pm, const CompileOptions &options) {
  pm.addPass(createPackParameters());
  // On packed bytes.
  if (options.device != DeviceKind::None)
    pm.addPass(createCompressWeights());
  // What no instruction takes.
  pm.addNestedPass<func::FuncOp>(createTamisToLinalg());
  addCleanup(pm);
  pm.addPass(createSymbolDCEPass());
  // Last: nothing folds constants any more, and the layout of the parameters
  // is made after this stage.
  if (options.device != DeviceKind::None)
    pm.addPass(createHoistConstants());
}

/// Outlined functions to launches and device functions.
static void addDeviceKernels(OpPassManager &pm) {
  pm.addPass(createMapToGpu());
  pm.addPass(createGpuLaunchSinkIndexComputationsPass());
  pm.addPass(createGpuKernelOutliningPass());
  addCleanup(pm);
}

static void populateCodegen(OpPassManager &pm, const CompileOptions &options) {
  // While results are values, their shape arithmetic can still be cut out.
  pm.addPass(createOutputDims());
  pm.addPass(createBindBuffers());
  // No canonicalizer between it and bufferization: it would drop what only
  // stands there for its position.
  pm.addNestedPass<func::FuncOp>(createPrepareLoops());
  // Before bufferization: lets a producer write into the slice, padding or
  // output that its value is inserted into.
  pm.addPass(bufferization::createEmptyTensorEliminationPass());
  pm.addPass(createBufferize());
  // Views of one place become one first, so that copies onto themselves go.
  pm.addPass(createCSEPass());
  addCleanup(pm);
  // On plain buffers: before the memory plan, which then counts fewer. Strips
  // first: their rows are fused like others.
  if (options.device == DeviceKind::None) {
    pm.addNestedPass<func::FuncOp>(createFuseAttention());
    pm.addNestedPass<func::FuncOp>(createFuseWindows());
    // After it: a loop is no member of a chain.
    pm.addNestedPass<func::FuncOp>(createExpandWinograd());
  }
  FuseRowsOptions rows;
  rows.lanes = options.device != DeviceKind::None;
  pm.addNestedPass<func::FuncOp>(createFuseRows(rows));
  if (options.device != DeviceKind::None) {
    // Before what runs on the device is decided: what becomes arithmetic in
    // float64 stays on the host.
    pm.addPass(createExpandMath());
    // Before the memory plan: scores then have no place in it.
    pm.addPass(createGroupAttention());
  }
  // Needs %workspace; before outlining, which passes the error word along.
  pm.addPass(createLowerChecks());
  pm.addPass(createPlanMemory());
  addCleanup(pm);
  pm.addPass(createOutlineKernels());
  if (options.device != DeviceKind::None)
    addDeviceKernels(pm);
  // From here on each function for itself, several at a time.
  OpPassManager &function = pm.nest<func::FuncOp>();
  function.addPass(createLowerContractions());
  function.addPass(createVectorizeLoops());
  // Looks for clamps, which become comparisons next.
  function.addPass(createShortenRounding());
  // While scf is there: far arguments of sin and cos take a branch.
  function.addPass(createExpandMath());
  // What VectorizeLoops has left; before the loops of linalg.
  function.addPass(createLowerCopies());
  function.addPass(createLowerStructured());
  // All loops are there, those of tasks still in their kernel.
  function.addPass(createSkipEmptyLoops());
  LowerParallelOptions parallel;
  parallel.threads = options.threads;
  pm.addPass(createLowerParallel(parallel));
  LowerInterfaceOptions interface;
  interface.variant = options.variant;
  pm.addPass(createLowerInterface(interface));
}

/// Device functions to SPIR-V inside the host's module.
static void addSpirv(OpPassManager &pm, const CompileOptions &options) {
  pm.addPass(createFlattenLaunches());
  addCleanup(pm);
  OpPassManager &device = pm.nest<gpu::GPUModuleOp>();
  // Divisions that round down or up; bfloat16, whose bits are integers there.
  arith::ArithExpandOpsPassOptions expand;
  expand.includeBf16 = true;
  device.addPass(arith::createArithExpandOpsPass(expand));
  device.addPass(createCanonicalizerPass());
  // Addresses, which have just become arithmetic; not every driver does this.
  device.addPass(createLoopInvariantCodeMotionPass());
  device.addPass(createPrepareSpirv());
  // Reads the environment; the next conversion knows no math.
  device.addPass(createConvertMathToSPIRVPass());
  pm.addPass(createConvertGPUToSPIRVPass(/*mapMemorySpace=*/false));
  OpPassManager &binary = pm.nest<spirv::ModuleOp>();
  binary.addPass(spirv::createSPIRVLowerABIAttributesPass());
  binary.addPass(spirv::createSPIRVUpdateVCEPass());
  EmbedKernelsOptions embedding;
  embedding.folder = options.dumpStages;
  pm.addPass(createEmbedKernels(embedding));
}

/// Device functions to PTX and a cubin inside the host's module.
static void addNvptx(OpPassManager &pm, const CompileOptions &options) {
  FlattenLaunchesOptions flatten;
  flatten.pointers = true;
  pm.addPass(createFlattenLaunches(flatten));
  addCleanup(pm);
  OpPassManager &device = pm.nest<gpu::GPUModuleOp>();
  device.addPass(createSCFToControlFlowPass());
  device.addPass(createLowerToNvvm());
  EmbedKernelsOptions embedding;
  embedding.folder = options.dumpStages;
  embedding.assemble = options.emit != EmitKind::Ptx;
  embedding.ptxas = options.ptxas;
  pm.addPass(createEmbedKernels(embedding));
}

static void populateEmit(OpPassManager &pm, const CompileOptions &options) {
  if (options.device == DeviceKind::Vulkan)
    addSpirv(pm, options);
  if (options.device == DeviceKind::Nvptx)
    addNvptx(pm, options);
  addCleanup(pm.nest<func::FuncOp>());
  OpPassManager &function = pm.nest<func::FuncOp>();
  function.addPass(createLowerMasks());
  function.addPass(createSCFToControlFlowPass());
  // Needs blocks to leave to.
  function.addPass(createLeaveOnError());
  function.addPass(createLowerViews());
  function.addPass(createLowerAffinePass());
  function.addPass(arith::createArithExpandOpsPass());
  function.addPass(createLowerInstructions());
  ConvertToLLVMPassOptions conversion;
  // No pattern here leaves half a change behind: nothing to undo.
  conversion.allowPatternRollback = false;
  pm.addPass(createConvertToLLVMPass(conversion));
  pm.addPass(createReconcileUnrealizedCastsPass());
}

// Dialects, or single operations, that must be gone. Each list holds what the
// one before it holds.
static constexpr StringRef kAfterImport[] = {"cf"};
static constexpr StringRef kAfterCompress[] = {
    "cf", "quant", "tamis.quantize", "tamis.dequantize", "tamis.fake_quant"};
static constexpr StringRef kAfterPack[] = {"cf",
                                           "quant",
                                           "tamis.quantize",
                                           "tamis.dequantize",
                                           "tamis.fake_quant",
                                           "tamis.contract"};
static constexpr StringRef kAfterCodegen[] = {
    "cf",     "quant",         "tamis",
    "tensor", "tamis_kernel",  "linalg",
    "shape",  "bufferization", "ml_program.global_load_const"};
static constexpr StringRef kAfterEmit[] = {
    "cf",
    "quant",
    "tamis",
    "tensor",
    "tamis_kernel",
    "linalg",
    "shape",
    "bufferization",
    "ml_program.global_load_const",
    "scf",
    "memref",
    "affine",
    "arith",
    "math",
    "vector",
    "func",
    "gpu",
    "spirv",
    "builtin.unrealized_conversion_cast"};

ArrayRef<Stage> mlir::tamis::getStages() {
  static const Stage stages[] = {
      {"import",
       "the whole model in upstream dialects and tamis; every dimension static "
       "or symbolic with a known origin",
       populateImport, kAfterImport},
      {"compress",
       "every numeric and pruning decision is in a type, an encoding or a "
       "parameter operand; no quantize-dequantize pair is left",
       populateCompress, kAfterCompress},
      {"plan",
       "every contraction has its layout, epilogue, instruction and tiles",
       populatePlan, kAfterCompress},
      {"pack",
       "weights are final bytes, layouts are physical shapes, numbers are "
       "plain "
       "integers and floats",
       populatePack, kAfterPack},
      {"codegen",
       "loops, vectors, memrefs and arena offsets; no tensor, no linalg",
       populateCodegen, kAfterCodegen},
      {"emit", "the LLVM dialect, then one object", populateEmit, kAfterEmit},
  };
  return stages;
}

int mlir::tamis::getStageIndex(StringRef name) {
  for (auto [i, stage] : llvm::enumerate(getStages()))
    if (stage.name == name)
      return i;
  return -1;
}

LogicalResult mlir::tamis::buildPipeline(OpPassManager &pm,
                                         const CompileOptions &options,
                                         StringRef from, StringRef to) {
  int first = from.empty() ? 0 : getStageIndex(from) + 1;
  int last = to.empty() ? getStages().size() - 1 : getStageIndex(to);
  if ((!from.empty() && first == 0) || last < 0)
    return failure();
  for (int i = first; i <= last; ++i)
    getStages()[i].populate(pm, options);
  return success();
}

void mlir::tamis::registerPipelines() {
  static const CompileOptions defaults;
  for (const Stage &stage : getStages()) {
    auto populate = stage.populate;
    PassPipelineRegistration<>(
        ("tamis-stage-" + stage.name).str(), stage.promise,
        [populate](OpPassManager &pm) { populate(pm, defaults); });
  }
  PassPipelineRegistration<>(
      "tamis-cpu-pipeline", "all stages for CPUs, import to LLVM dialect",
      [](OpPassManager &pm) { (void)buildPipeline(pm, defaults); });
  static const CompileOptions vulkan = [] {
    CompileOptions options;
    options.device = DeviceKind::Vulkan;
    return options;
  }();
  PassPipelineRegistration<>(
      "tamis-gpu-pipeline",
      "all stages for Vulkan devices, import to LLVM dialect with SPIR-V in it",
      [](OpPassManager &pm) { (void)buildPipeline(pm, vulkan); });
}
