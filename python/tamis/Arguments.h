// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What the functions of the extension module share: the fields of the Python
// class Options, and diagnostics on their way back.
#ifndef TAMIS_PYTHON_ARGUMENTS_H
#define TAMIS_PYTHON_ARGUMENTS_H

#include "Diagnostics.h"
#include "tamis/Pipeline/Compile.h"
#include <nanobind/nanobind.h>
#include <string>
#include <tuple>
#include <vector>

namespace mlir::tamis {

/// Severity, text, node, op, file: the fields of the Python class Diagnostic.
using MessageTuple =
    std::tuple<std::string, std::string, std::string, std::string, std::string>;

/// The fields of the Python class Options.
CompileOptions readOptions(const nanobind::dict &fields);

/// The messages as Python reads them; an error is among them if it `failed`.
/// `messages` is empty afterwards.
std::vector<MessageTuple> takeMessages(std::vector<Message> &messages,
                                       bool failed);

} // namespace mlir::tamis

#endif // TAMIS_PYTHON_ARGUMENTS_H
