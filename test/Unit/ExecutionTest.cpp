// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Emission, the runtime in the artifact, and loading, by value: hand-written
// modules are emitted, loaded and run. Usage: ExecutionTest INPUTS OUTPUT.
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MLProgram/IR/MLProgram.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Parser/Parser.h"
#include "tamis/Execution/Emit.h"
#include "tamis/Execution/Interface.h"
#include "tamis/Execution/Load.h"
#include "tamis/IR/Tamis.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"

#include <chrono>
#include <cmath>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

using namespace mlir;
using namespace mlir::tamis;

static int failures = 0;
static std::string inputFolder, outputFolder;

#define CHECK(condition)                                                       \
  do {                                                                         \
    if (!(condition)) {                                                        \
      llvm::errs() << __FILE__ << ":" << __LINE__ << ": failed: " #condition   \
                   << "\n";                                                    \
      ++failures;                                                              \
    }                                                                          \
  } while (0)

static MLIRContext &getContext() {
  static MLIRContext *context = [] {
    DialectRegistry registry;
    registry.insert<TamisDialect, LLVM::LLVMDialect,
                    ml_program::MLProgramDialect>();
    return new MLIRContext(registry, MLIRContext::Threading::DISABLED);
  }();
  return *context;
}

/// Emits `name`.mlir and loads it, or returns the error.
static std::unique_ptr<CompiledModel> emitAndLoad(StringRef name,
                                                  unsigned optLevel = 2) {
  auto module = parseSourceFile<ModuleOp>(
      inputFolder + "/" + name.str() + ".mlir", &getContext());
  CHECK(module);
  if (!module)
    return nullptr;
  auto start = std::chrono::steady_clock::now();
  auto parameters = ParameterLayout::get(*module);
  CHECK(succeeded(parameters));
  std::string path = outputFolder + "/" + name.str() + ".so";
  EmitOptions options;
  options.optLevel = optLevel;
  options.writeHeader = true;
  CHECK(succeeded(emitArtifact(*module, *parameters, path, options)));
  std::chrono::duration<double, std::milli> time =
      std::chrono::steady_clock::now() - start;
  llvm::outs() << name << ".so -O" << optLevel << ": "
               << int(time.count() + 0.5) << " ms\n";
  auto model = CompiledModel::load(path);
  if (!model) {
    llvm::errs() << llvm::toString(model.takeError()) << "\n";
    ++failures;
    return nullptr;
  }
  return std::move(*model);
}

static bool failsWith(llvm::Error error, StringRef text) {
  std::string message = llvm::toString(std::move(error));
  if (StringRef(message).contains(text))
    return true;
  llvm::errs() << "expected '" << text << "', got '" << message << "'\n";
  return false;
}

/// One run of scale.mlir with `rows` rows, checked.
static bool runScale(const CompiledModel &model, int64_t rows) {
  std::vector<float> x(rows * 4);
  for (size_t index = 0; index < x.size(); ++index)
    x[index] = float(index % 7) - 3;
  auto outputs = model.run({x.data()}, {rows, 4});
  if (!outputs) {
    llvm::errs() << llvm::toString(outputs.takeError()) << "\n";
    return false;
  }
  std::vector<float> positive;
  const float *y = static_cast<const float *>((*outputs)[0].data.get());
  for (size_t index = 0; index < x.size(); ++index) {
    if (y[index] != x[index] * 2 + 1)
      return false;
    if (y[index] > 0)
      positive.push_back(y[index]);
  }
  return (*outputs)[0].dims == std::vector<int64_t>{rows, 4} &&
         (*outputs)[1].dims == std::vector<int64_t>{int64_t(positive.size())} &&
         memcmp((*outputs)[1].data.get(), positive.data(),
                positive.size() * 4) == 0;
}

static void testScale() {
  auto model = emitAndLoad("scale");
  if (!model)
    return;
  for (int64_t rows : {1, 2, 3, 127, 1000})
    CHECK(runScale(*model, rows));
  const ModelInterface &interface = model->getInterface();
  CHECK(interface.inputs.size() == 1 && interface.inputs[0].name == "x");
  CHECK(interface.inputs[0].dims[0].symbol == "n");
  CHECK(interface.outputs[1].isUnbounded());
  CHECK(interface.metadata.at("author") == "a \"quoted\" */ name");
  CHECK(interface.ranges.at("n").second == 1000);
  CHECK(model->getNote().hash.size() == 64);

  // What a caller may get wrong.
  float x[8] = {}, y[8];
  int64_t dims[5] = {2, 4, 0, 0, 0};
  const void *inputs[1] = {x};
  void *outputs[2] = {y, nullptr};
  CHECK(failsWith(model->run(nullptr, outputs, dims), "null"));
  CHECK(failsWith(model->run(inputs, nullptr, dims), "null"));
  CHECK(failsWith(model->run(inputs, outputs, nullptr), "null"));
  CHECK(failsWith(model->run(inputs, outputs, dims, y + 1), "aligned"));
  const void *noInput[1] = {nullptr};
  CHECK(failsWith(model->run(noInput, outputs, dims), "input 'x' is a null"));
  void *noOutput[2] = {};
  CHECK(failsWith(model->run(inputs, noOutput, dims), "output 'y' is a null"));
  dims[0] = 1001;
  CHECK(failsWith(model->run(inputs, outputs, dims),
                  "input 'x': dimension 0: expected 1 to 1000, got 1001"));
  dims[0] = 2;
  dims[1] = 5;
  CHECK(failsWith(model->run(inputs, outputs, dims),
                  "input 'x': dimension 1: expected 4, got 5"));
  CHECK(failsWith(model->run({x}, {-1, 4}).takeError(), "got -1"));
  CHECK(failsWith(model->run({x}, {2}).takeError(), "expected 2 dimensions"));
  CHECK(failsWith(model->run({}, {2, 4}).takeError(), "expected 1 inputs"));
  CHECK(failsWith(model->getWorkspaceSize({0, 4}).takeError(), "dimensions"));
  // A fault in the data: reported, the result released and cleared.
  dims[1] = 4;
  x[3] = 1e35f;
  CHECK(failsWith(model->run(inputs, outputs, dims), "out of range"));
  CHECK(!outputs[1]);
}

static void testThreads() {
  auto model = emitAndLoad("scale");
  if (!model)
    return;
  auto many = [&] {
    bool fine = true;
    for (int round = 0; round < 2000; ++round)
      fine &= runScale(*model, 1 + round % 40);
    return fine;
  };
  // Callers at the same time: one holds the pool, the other works alone.
  bool fine[3] = {};
  std::thread threads[3];
  for (int index = 0; index < 3; ++index)
    threads[index] = std::thread([&, index] { fine[index] = many(); });
  for (std::thread &thread : threads)
    thread.join();
  CHECK(fine[0] && fine[1] && fine[2]);
  // A forked child has no workers and makes its own.
  pid_t child = fork();
  if (child == 0)
    _exit(many() ? 0 : 1);
  int status = -1;
  waitpid(child, &status, 0);
  CHECK(status == 0);
  // After a pause the workers sleep.
  usleep(2000);
  CHECK(many());
}

/// A host that counts what it is asked for.
namespace {
struct CountingHost {
  int allocated = 0, steps = 0;

  tamis_host get() {
    return {this,
            [](void *user, size_t bytes, size_t alignment) {
              ++static_cast<CountingHost *>(user)->allocated;
              return aligned_alloc(alignment, bytes);
            },
            [](void *user, void *pointer) {
              --static_cast<CountingHost *>(user)->allocated;
              free(pointer);
            },
            [](void *user, void (*task)(void *, int64_t), void *args,
               int64_t count) {
              ++static_cast<CountingHost *>(user)->steps;
              while (count-- > 0)
                task(args, count);
            },
            0};
  }
};
} // namespace

extern "C" {
typedef struct scale_instance scale_instance;
int32_t scale_create(const tamis_host *, scale_instance **);
int32_t scale_run(scale_instance *, const void *const *, void **, int64_t *,
                  void *);
const char *scale_last_error(const scale_instance *);
void scale_destroy(scale_instance *);
int64_t scale_workspace_size(const int64_t *);
int32_t scale_output_dims(int64_t *);
}

#include <dlfcn.h>

static void testHost() {
  auto model = emitAndLoad("scale");
  if (!model)
    return;
  void *library = dlopen((outputFolder + "/scale.so").c_str(), RTLD_NOW);
  CHECK(library);
  if (!library)
    return;
  auto *create =
      reinterpret_cast<decltype(&scale_create)>(dlsym(library, "scale_create"));
  auto *run =
      reinterpret_cast<decltype(&scale_run)>(dlsym(library, "scale_run"));
  auto *destroy = reinterpret_cast<decltype(&scale_destroy)>(
      dlsym(library, "scale_destroy"));
  auto *lastError = reinterpret_cast<decltype(&scale_last_error)>(
      dlsym(library, "scale_last_error"));
  auto *workspaceSize = reinterpret_cast<decltype(&scale_workspace_size)>(
      dlsym(library, "scale_workspace_size"));
  auto *outputDims = reinterpret_cast<decltype(&scale_output_dims)>(
      dlsym(library, "scale_output_dims"));
  CountingHost counting;
  tamis_host host = counting.get();
  scale_instance *instance = nullptr;
  CHECK(create(&host, &instance) == TAMIS_OK && instance);
  float x[8] = {1, 2, 3, 4, 5, 6, 7, 8}, y[8];
  int64_t dims[5] = {2, 4, 0, 0, 0};
  const void *inputs[1] = {x};
  void *outputs[2] = {y, nullptr};
  CHECK(run(instance, inputs, outputs, dims, nullptr) == TAMIS_OK);
  CHECK(y[7] == 17 && dims[4] == 8 && counting.steps == 1);
  host.release(host.user, outputs[1]);
  destroy(instance);
  CHECK(counting.allocated == 0);

  // Null pointers anywhere.
  CHECK(create(nullptr, nullptr) == TAMIS_ERROR_ARGUMENT);
  host.release = nullptr;
  CHECK(create(&host, &instance) == TAMIS_ERROR_ARGUMENT && !instance);
  CHECK(StringRef(lastError(nullptr)).contains("release"));
  CHECK(run(nullptr, inputs, outputs, dims, nullptr) == TAMIS_ERROR_ARGUMENT);
  CHECK(workspaceSize(nullptr) == -1 && workspaceSize(dims) == 64);
  CHECK(outputDims(nullptr) == TAMIS_ERROR_ARGUMENT);
  destroy(nullptr);
  dlclose(library);
}

static void testVariants() {
  auto model = emitAndLoad("exp");
  if (!model)
    return;
  CHECK(model->getNote().variants.size() == 3);
  float x[8] = {0, 1, -1, 0.5f, 1e-7f, 100, -100, NAN};
  auto outputs = model->run({x}, {8});
  CHECK(bool(outputs));
  if (!outputs)
    return;
  const float *y = static_cast<const float *>((*outputs)[0].data.get());
  CHECK(y[0] == 1 && std::fabs(y[1] - 2.7182817f) < 1e-6f);
  CHECK(y[4] == std::exp(1.1920929e-7f) && std::isnan(y[7]));
  CHECK(y[6] == std::exp(-100.0f));
  int32_t variant = *static_cast<const int32_t *>((*outputs)[1].data.get());
  bool hasAvx2 = findMissingFeature({"avx2", "f16c", "fma"}).empty();
  CHECK(variant == (hasAvx2 ? 1 : 0));

  void *library = dlopen((outputFolder + "/exp.so").c_str(), RTLD_NOW);
  CHECK(library);
  auto *runStatic =
      reinterpret_cast<int32_t (*)(const void *const *, void **, void *)>(
          dlsym(library, "exp_run_static"));
  CHECK(runStatic);
  if (!runStatic)
    return;
  float result[8];
  const void *inputs[1] = {x};
  void *pointers[2] = {result, &variant};
  CHECK(runStatic(inputs, pointers, nullptr) == TAMIS_OK);
  CHECK(memcmp(result, y, 28) == 0);
  CHECK(runStatic(nullptr, pointers, nullptr) == TAMIS_ERROR_ARGUMENT);
  dlclose(library);
}

/// Objects and text, for the C program and the checks of emit.test.
static void emitOthers() {
  using Kind = EmitOptions::Kind;
  for (StringRef name : {"scale", "exp"})
    for (auto [kind, extension] :
         {std::pair(Kind::Object, "o"), std::pair(Kind::LLVMIR, "ll"),
          std::pair(Kind::Assembly, "s"), std::pair(Kind::Bitcode, "bc")}) {
      auto module = parseSourceFile<ModuleOp>(
          inputFolder + "/" + name.str() + ".mlir", &getContext());
      auto parameters = ParameterLayout::get(*module);
      EmitOptions options;
      options.kind = kind;
      CHECK(succeeded(emitArtifact(
          *module, *parameters,
          outputFolder + "/" + name.str() + "." + extension, options)));
    }
}

/// Fails with `text` when scale.mlir with `from` replaced by `to` is emitted.
static void testRefused(StringRef from, StringRef to, StringRef text) {
  auto buffer = llvm::MemoryBuffer::getFile(inputFolder + "/scale.mlir", true);
  CHECK(bool(buffer));
  std::string source = (*buffer)->getBuffer().str();
  size_t at = source.find(from.str());
  CHECK(at != std::string::npos);
  source.replace(at, from.size(), to);
  std::string message;
  ScopedDiagnosticHandler handler(&getContext(), [&](Diagnostic &diagnostic) {
    message += diagnostic.str();
    return success();
  });
  auto module = parseSourceString<ModuleOp>(source, &getContext());
  CHECK(module);
  if (!module)
    return;
  std::string folder = outputFolder + "/refused";
  CHECK(!llvm::sys::fs::create_directories(folder));
  auto parameters = ParameterLayout::get(*module);
  CHECK(failed(parameters) ||
        failed(emitArtifact(*module, *parameters, folder + "/x.so", {})));
  CHECK(failsWith(llvm::createStringError(message), text));
  // Nothing is left behind.
  std::error_code error;
  CHECK(llvm::sys::fs::directory_iterator(folder, error) ==
        llvm::sys::fs::directory_iterator());
}

/// The library cut short, or with a few bytes changed.
static void testDamaged() {
  std::string whole = outputFolder + "/scale.so", path = outputFolder + "/d.so";
  auto write = [&](StringRef bytes) {
    std::error_code error;
    llvm::raw_fd_ostream(path, error) << bytes;
  };
  std::string bytes = (*llvm::MemoryBuffer::getFile(whole))->getBuffer().str();
  write(StringRef(bytes).drop_back());
  CHECK(failsWith(CompiledModel::load(path).takeError(), "truncated"));
  write(StringRef(bytes).take_front(40));
  CHECK(failsWith(CompiledModel::load(path).takeError(), "d.so"));
  write("");
  CHECK(failsWith(CompiledModel::load(path).takeError(), "ELF"));
  size_t at = bytes.find("\"abi\":1");
  CHECK(at != std::string::npos);
  std::string other = bytes;
  other[at + 6] = '9';
  write(other);
  CHECK(failsWith(CompiledModel::load(path).takeError(),
                  "expected ABI version 1, got 9"));
  other = bytes;
  at = other.find("[[\"sse2\"]]");
  CHECK(at != std::string::npos);
  other.replace(at, 10, "[[\"fma4\"]]");
  write(other);
  if (!findMissingFeature({"fma4"}).empty())
    CHECK(failsWith(CompiledModel::load(path).takeError(), "'fma4'"));
  CHECK(failsWith(CompiledModel::load(outputFolder + "/none.so").takeError(),
                  "none.so"));
}

int main(int argc, char **argv) {
  if (argc != 3) {
    llvm::errs() << "usage: ExecutionTest INPUTS OUTPUT\n";
    return 2;
  }
  inputFolder = argv[1];
  outputFolder = argv[2];
  (void)llvm::sys::fs::create_directories(outputFolder);
  testScale();
  testThreads();
  testHost();
  testVariants();
  testDamaged();
  emitOthers();
  testRefused("@tamis_compute_0", "@other", "tamis_compute_0");
  testRefused("\"sse2\"", "\"warp9\"", "target feature 'warp9'");
  testRefused("tamis.interface", "tamis.other", "tamis.interface");
  testRefused("\"float32\"", "\"float31\"", "unknown dtype \"float31\"");
  testRefused("addressof @row", "addressof @nowhere",
              "undefined symbol: nowhere");
  llvm::outs() << (failures ? "failed\n" : "all checks hold\n");
  return failures != 0;
}
