// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Text of the generated C header. Names of tensors come from the model and go
// into comments only, with everything unprintable or comment-ending replaced.
#include "tamis/Execution/Header.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace mlir::tamis;

/// `text` as it may stand in a comment.
static std::string inComment(StringRef text) {
  std::string clean;
  for (char c : text.take_front(200))
    clean += llvm::isPrint(c) && c != '*' && c != '\\' ? c : '_';
  return clean;
}

/// The part every model's header shares: Runtime/Host.h from its guard on.
static constexpr StringLiteral kShared =
#include "HostText.inc"
    ;

static constexpr StringLiteral kPrototypes =
    R"(/** Version of this interface; equals @P@_ABI_VERSION. */
uint32_t @p@_abi_version(void);

/** The model's inputs, outputs and metadata as JSON. */
const char *@p@_describe(void);

/** Bytes of workspace a run with these input dimensions needs, or -1 if the
    model does not take them. */
int64_t @p@_workspace_size(const int64_t *dims);

/** Fills the output part of dims from its input part; -1 where only the data
    decides. Returns a tamis_status. */
int32_t @p@_output_dims(int64_t *dims);

typedef struct @p@_instance @p@_instance;

/** Makes an instance. host may be null. Returns a tamis_status. */
int32_t @p@_create(const tamis_host *host, @p@_instance **instance);

/** Runs the model: reads inputs[i], writes outputs[i] and the output part of
    dims. An output whose size only the data decides is allocated by the run,
    which stores its address in outputs[i]: release it with host->release, or
    with free() without a host. workspace is aligned to 64 bytes; null uses
    the instance's own. An output that continues an input may have its
    address: what is in it is then changed where it is, and nothing is copied.
    No other output may overlap an input. Calls may run at the same time on one
    instance.
    Returns a tamis_status. */
int32_t @p@_run(@p@_instance *instance, const void *const *inputs,
    void **outputs, int64_t *dims, void *workspace);

/** The text of the instance's last failure, or, with a null instance, of the
    last failed create. */
const char *@p@_last_error(const @p@_instance *instance);

/** Releases the instance; null is allowed. */
void @p@_destroy(@p@_instance *instance);
)";

static constexpr StringLiteral kRunStatic = R"(
/** As @p@_run, without an instance: allocates nothing. workspace is aligned
    to 64 bytes. */
int32_t @p@_run_static(const void *const *inputs, void **outputs,
                       void *workspace);
)";

static constexpr StringLiteral kDevice = R"(
/** Seconds that the last run took by the device's own clock, from its first
    launch to its last, once this has been called before that run; below 0
    without such a clock. */
double @p@_device_seconds(@p@_instance *instance);

/** Bytes a second, read and written, of copies of so many bytes in the memory
    the model uses on the device; below 0 if that fails. */
double @p@_device_copy(@p@_instance *instance, int64_t bytes);
)";

static void writeTensors(llvm::raw_ostream &stream, StringRef kind,
                         const std::vector<InterfaceTensor> &tensors,
                         int64_t &position) {
  for (auto [index, tensor] : llvm::enumerate(tensors)) {
    stream << "   " << kind << "[" << index << "] " << inComment(tensor.name)
           << ": " << tensor.dtype << " [";
    llvm::interleaveComma(tensor.dims, stream, [&](const InterfaceDim &dim) {
      stream << inComment(dim.str());
    });
    stream << "]";
    if (tensor.dims.empty())
      stream << ", a scalar";
    else
      stream << ", dims[" << position << ".."
             << position + int64_t(tensor.dims.size()) - 1 << "]";
    if (kind == "outputs" && tensor.isUnbounded())
      stream << ", allocated by the run";
    if (!tensor.state.empty())
      stream << ", continues " << inComment(tensor.state);
    stream << "\n";
    position += tensor.dims.size();
  }
}

std::string mlir::tamis::makeHeader(const ModelInterface &interface,
                                    const HeaderFacts &facts) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  std::string upper = StringRef(facts.prefix).upper();
  auto paste = [&](StringRef pattern) {
    std::string pasted = pattern.str();
    for (auto [mark, word] :
         {std::pair<StringRef, StringRef>{"@p@", facts.prefix}, {"@P@", upper}})
      for (size_t at; (at = pasted.find(mark)) != std::string::npos;)
        pasted.replace(at, mark.size(), word);
    stream << pasted;
  };
  stream << "/* A compiled model: " << facts.prefix << ".\n\n";
  int64_t position = 0;
  writeTensors(stream, "inputs", interface.inputs, position);
  writeTensors(stream, "outputs", interface.outputs, position);
  for (auto &[symbol, range] : interface.ranges)
    stream << "   " << inComment(symbol) << " is " << range.first << " to "
           << range.second << "\n";
  stream << "\n   Tensors are dense and row-major. dims holds the dimensions of"
            "\n   all inputs, then of all outputs, in this order. */\n"
         << "#ifndef " << upper << "_H\n#define " << upper << "_H\n\n"
         << "#include <stddef.h>\n#include <stdint.h>\n\n"
         << "#ifdef __cplusplus\nextern \"C\" {\n#endif\n\n"
         << kShared << "#define " << upper << "_ABI_VERSION 1\n"
         << "#define " << upper << "_INPUTS " << interface.inputs.size() << "\n"
         << "#define " << upper << "_OUTPUTS " << interface.outputs.size()
         << "\n"
         << "#define " << upper << "_DIMS " << position << "\n";
  if (facts.workspaceBytes >= 0)
    stream << "#define " << upper << "_WORKSPACE_BYTES " << facts.workspaceBytes
           << "\n";
  stream << "\n";
  paste(kPrototypes);
  if (facts.hasRunStatic)
    paste(kRunStatic);
  if (facts.hasDevice)
    paste(kDevice);
  stream << "\n#ifdef __cplusplus\n}\n#endif\n\n#endif\n";
  return text;
}
