// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The compiler without Python: .onnx or .mlir to a shared library, an object,
// LLVM IR, assembly or the module after any stage. Options are read by CLI11,
// because llvm::cl shares its names with every library LLVM links.
#include "tamis/Pipeline/Compile.h"
#include <CLI/CLI.hpp>

using namespace mlir::tamis;

int main(int argc, char **argv) {
  CLI::App app("Tamis compiler: model.onnx or model.mlir to native code",
               "tamis-compile");
  CompileOptions options;
  std::string input, output = "-", allow, goal;
  std::vector<std::string> inputDims;
  const std::map<std::string, EmitKind> kinds = {
      {"so", EmitKind::SharedLibrary}, {"obj", EmitKind::Object},
      {"llvm", EmitKind::LLVMIR},      {"asm", EmitKind::Assembly},
      {"ptx", EmitKind::Ptx},          {"mlir", EmitKind::MLIR}};
  app.add_option("input", input, "model.onnx, model.mlir or model.mlirbc")
      ->required();
  app.add_option("-o", output, "output file (- for stdout)");
  app.add_option(
      "--target", options.target,
      "native, x86-64-v3, LLVM features; several: chosen at load; vulkan");
  app.add_option("--profile", options.profile,
                 "what cost models know of the target, and measured times");
  app.add_option("--ptxas", options.ptxas,
                 "NVIDIA's assembler (the one on PATH)");
  app.add_option("--input-dim", inputDims, "NAME=N or NAME=MIN:MAX")
      ->take_all();
  app.add_option("--allow-external", options.import.allowExternal,
                 "folder that external data may lie in");
  app.add_option("--from", options.from, "start after this stage");
  app.add_option("--to", options.to, "stop after this stage");
  app.add_option("--dump-stages", options.dumpStages,
                 "folder for the module after each stage");
  app.add_option("--emit", options.emit, "kind of output")
      ->transform(CLI::CheckedTransformer(kinds));
  app.add_option("--threads", options.threads, "most threads of a call");
  app.add_option("-O", options.optLevel,
                 "1 compiles faster, 3 runs LLVM's whole standard pipeline")
      ->check(CLI::Range(1, 3));
  app.add_flag("--strict", options.strict, "bit-exact quantized operations");
  app.add_option("--optimize-for", goal, "speed, or size of the weights")
      ->check(CLI::IsMember({"speed", "size"}));
  app.add_option("--allow", allow, "numeric freedom")
      ->check(CLI::IsMember({"bf16"}));
  app.add_flag("--oracle", options.oracle, "reference lowering only");
  app.add_flag("--observe", options.import.observe,
               "name every tensor of an ONNX model (--to import)");
  app.add_flag("--timing", options.timing, "print the time of each pass");
  app.add_flag("--statistics", options.statistics, "print pass statistics");
  CLI11_PARSE(app, argc, argv);

  options.allowBf16 = allow == "bf16";
  options.optimizeForSize = goal == "size";
  for (const std::string &text : inputDims) {
    auto [name, value] = llvm::StringRef(text).rsplit('=');
    DimBinding binding;
    if (name.empty() || !parseDimBinding(value, binding)) {
      std::cerr << "error: --input-dim expected NAME=N or NAME=MIN:MAX, got '"
                << text << "'\n";
      return 1;
    }
    options.import.inputDims.emplace_back(name.str(), binding);
  }
  return failed(compileModel(llvm::StringRef(input), output, options));
}
